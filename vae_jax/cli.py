"""The command line: `vae-jax train digits` and what can be done with the run that it leaves."""

import dataclasses
import difflib
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import absl.logging
import tyro
from rich.console import Console

from vae_jax import config as configs
from vae_jax.config import ConfigError, Experiment

_USAGE = """usage: vae-jax COMMAND …

  train CONFIG [--field value …]   train a model; --quick tries any config in seconds, --out names the run
  resume RUN                       continue an interrupted run, bit for bit
  evaluate RUN                     measure log p(x) and more on the test split
  sweep CONFIG --over FIELD=1,2    many runs in one program: a grid of numbers and seeds
  compare RUN…                     runs side by side, with error bars over their seeds
  sample RUN                       draw from the model: a picture and an array
  encode RUN DATA                  codes of a dataset or of your own file
  score CODES [FACTORS]            codes of any library against known factors
  configs                          the configs, one a line

vae-jax COMMAND --help lists the options of a command."""

_FLAT = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagConversionOff)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. Errors that a user can mend are one line on standard error."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    commands: dict[str, Callable[[list[str], Console], int]] = {
        "train": _train,
        "resume": _resume,
        "evaluate": _evaluate,
        "sweep": _sweep,
        "compare": _compare,
        "sample": _sample,
        "encode": _encode,
        "score": _score,
        "configs": _configs,
    }
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE)
        return 0 if arguments else 2
    if arguments[0] not in commands:
        print(f"vae-jax: no command {arguments[0]!r}; there are {', '.join(commands)}.", file=sys.stderr)
        return 2
    # Orbax and TFDS warn of their own affairs, which are not the user's.
    absl.logging.set_verbosity(absl.logging.ERROR)
    try:
        return commands[arguments[0]](arguments[1:], Console(markup=False, highlight=False))
    except KeyboardInterrupt:
        print(
            f"\nvae-jax {arguments[0]}: interrupted; finished parts are kept, and the same command goes on.",
            file=sys.stderr,
        )
        return 130
    except (ValueError, TypeError, OSError, ImportError, RuntimeError, OverflowError) as error:
        print(f"vae-jax {arguments[0]}: {error}", file=sys.stderr)
        return 1


@dataclasses.dataclass(frozen=True)
class _TrainOptions:
    """Options of the command itself."""

    experiment: Experiment
    out: Path | None = None
    """Directory of the run; by default runs/CONFIG, with a number where that exists."""
    quick: tyro.conf.FlagCreatePairsOff[bool] = False
    """A few steps on a small embedded stand-in for the data: seconds, no download."""


@dataclasses.dataclass(frozen=True)
class _SweepOptions(_TrainOptions):
    over: tuple[str, ...] = ()
    """Fields and their numbers, objective.beta=1,2,4: every combination of them is trained."""
    seeds: int = 3
    """Seeds of each combination, from --seed on."""


def _train(arguments: list[str], console: Console) -> int:
    found = _experiment("train", _TrainOptions, arguments)
    if found is None:
        return 0
    options, name = found
    from vae_jax.train.run import create

    run = create(options.experiment, _directory(options, name))
    console.print(f"{options.experiment.description}\nrun: {run.directory}", soft_wrap=True)
    return _train_and_report(run, console)


def _sweep(arguments: list[str], console: Console) -> int:
    found = _experiment("sweep", _SweepOptions, arguments)
    if found is None:
        return 0
    options, name = found
    from vae_jax.train.sweep import create_sweep, parse_grid

    sweep = create_sweep(options.experiment, parse_grid(options.over), options.seeds, _directory(options, name))
    console.print(f"{options.experiment.description}\nsweep: {sweep.directory}", soft_wrap=True)
    return _train_and_report_sweep(sweep, console)


def _directory(options: _TrainOptions, name: str) -> Path:
    default = Path(name).stem + ("-quick" if options.quick else "")
    return options.out or _free_directory(Path("runs") / default)


def _experiment(command: str, kind: Any, arguments: list[str]) -> tuple[Any, str] | None:
    """The options of `train` or `sweep`, and the name of the config; None where only help was asked for, and given."""
    usage = f"vae-jax {command} CONFIG"
    if not arguments or arguments[0].startswith("-"):
        names = ", ".join(configs.config_names())
        if arguments and arguments[0] in ("-h", "--help"):
            print(f"usage: {usage} [--field value …]\n\nCONFIG is one of {names}, or a path ending in .py.")
            print(f"The fields of a config: {usage} --help")
            return None
        raise ConfigError(f"name a config first: {usage}. There are {names}.")
    name = arguments[0]
    config = configs.load_config(name)
    _check_flags(f"vae-jax {command} {name}", arguments[1:], kind)
    # Before the flags are read, so that a flag still has the last word.
    config = configs.quick(config) if "--quick" in arguments else config
    options = tyro.cli(
        kind,
        prog=f"vae-jax {command} {name}",
        description=config.description,
        default=kind(config),
        args=arguments[1:],
        config=(tyro.conf.OmitArgPrefixes,),
    )
    experiment = options.experiment
    # The run may be looked at from another folder.
    data = experiment.data
    if data.dataset == "frey_faces" and data.data_dir is None:
        data = dataclasses.replace(data, data_dir=".")
    if data.data_dir is not None:
        data = dataclasses.replace(data, data_dir=str(Path(data.data_dir).expanduser().absolute()))
    if data.dataset.endswith((".npz", ".npy")):
        data = dataclasses.replace(data, dataset=str(Path(data.dataset).expanduser().absolute()))
    return dataclasses.replace(options, experiment=dataclasses.replace(experiment, data=data)), name


def _check_flags(usage: str, arguments: list[str], options: Any) -> None:
    """Refuse in one line a flag that is no field of a config and no option of the command."""
    sections = [f.type for f in dataclasses.fields(Experiment) if dataclasses.is_dataclass(f.type)]
    known = {f.name for section in [Experiment, options, *sections] for f in dataclasses.fields(section)} | {"help"}
    for argument in arguments:
        field = argument.removeprefix("--").split("=")[0].replace("-", "_")
        if argument.startswith("--") and field not in known:
            close = difflib.get_close_matches(field, known, n=2)
            hint = " or ".join("--" + other.replace("_", "-") for other in close)
            hint = f" Did you mean {hint}?" if close else ""
            raise ConfigError(f"no field {argument.split('=')[0]}.{hint} All of them: {usage} --help")


def _free_directory(base: Path) -> Path:
    number = 1
    path = base
    while path.exists():
        number += 1
        path = base.with_name(f"{base.name}-{number}")
    return path


def _train_and_report(run: Any, console: Console) -> int:
    from vae_jax import measure, report
    from vae_jax.pictures import write_pictures
    from vae_jax.train.loop import train

    evaluation = run.directory / "evaluation.json"
    state, finished, trained = train(run, console)
    if finished and not trained and _is_of(evaluation, int(state.train.step)):
        console.print(f"{run.directory} is finished and evaluated already: {evaluation}", soft_wrap=True)
        return 0
    if not finished:
        return _stopped(run, state, console)
    if run.system.vae is None:
        return 0
    params = state.best_params
    result = measure.protocol(run, params) | measure.progress(run, state)
    result |= measure.representation(run, params) | measure.disentanglement(run, params)
    result |= measure.code_use(run, params)
    if measure.has_likelihood(run, params):
        result |= measure.likelihood(run, params, console=console)[0]
    write_pictures(run, state)
    # Last: it says that all is done.
    report.write_evaluation(run, result)
    console.print(report.panel(run, state, result))
    return 0


def _stopped(run: Any, state: Any, console: Console) -> int:
    from vae_jax.train.loop import num_steps

    step = int(state.train.step)
    console.print(
        f"stopped at step {step} of {num_steps(run)}, saved. Continue with: vae-jax resume {run.directory}",
        soft_wrap=True,
    )
    return 130


def _train_and_report_sweep(sweep: Any, console: Console) -> int:
    from vae_jax import sweeps
    from vae_jax.train.loop import train
    from vae_jax.train.sweep import write_members

    state, finished, trained = train(sweep, console)
    if finished and not trained and (sweep.directory / "evaluation.json").is_file():
        console.print(f"{sweep.directory} is finished and evaluated already.", soft_wrap=True)
        return 0
    if not finished:
        return _stopped(sweep, state, console)
    written = write_members(sweep, state)
    results = sweeps.measure_members(sweep, state, console)
    sweeps.write_pictures(sweep, state, results)
    # Last: it says that all is done.
    path = sweeps.write_results(sweep, results)
    console.print(sweeps.table(sweep, results))
    seconds = f"{float(state.seconds):.1f} s of training for all {len(written)} members"
    console.print(f"{seconds}; each is a run: {written[0]}\nwritten: {path}", soft_wrap=True)
    return 0


def _is_of(evaluation: Path, step: int) -> bool:
    """Whether an evaluation is there and of the parameters after `step`, not of an earlier time in the run."""
    return evaluation.is_file() and json.loads(evaluation.read_text())["step"] == step


_RunPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def _parse(command: str, function: Callable[..., Any], arguments: list[str]) -> Any:
    return tyro.cli(function, prog=f"vae-jax {command}", args=arguments, config=_FLAT)


def _resume(arguments: list[str], console: Console) -> int:
    def resume(run: _RunPath) -> int:
        """Continue an interrupted run or sweep to its end, bit for bit as if it had not been interrupted.

        Args:
            run: Directory of the run or sweep.
        """
        from vae_jax.train.run import open_run
        from vae_jax.train.sweep import is_sweep, open_sweep

        if is_sweep(run):
            return _train_and_report_sweep(open_sweep(run), console)
        return _train_and_report(open_run(run), console)

    return _parse("resume", resume, arguments)


def _evaluate(arguments: list[str], console: Console) -> int:
    def evaluate(
        run: _RunPath,
        k: int | None = None,
        seed: int = 0,
        epoch: int | None = None,
        gaps: int = 100,
        ais: int = 0,
        temperatures: int = 1000,
    ) -> int:
        """Measure the best parameters of a run on the test split; writes RUN/evaluation.json and .npz.

        Args:
            run: Directory of the run.
            k: Samples per example of the importance-weighted log p(x); by default the config's.
            seed: Seed of the samples.
            epoch: Measure the snapshot of this epoch instead; writes RUN/evaluation-epoch-N.json.
            gaps: Measure the inference gaps on this many examples; 0 leaves them out, and is faster.
            ais: Measure this many examples by annealed importance sampling too, with its BDMC gap; slow.
            temperatures: Temperatures of annealed importance sampling.
        """
        from vae_jax import measure, report
        from vae_jax.checks import check_count
        from vae_jax.train.run import load_snapshot, load_state, open_run
        from vae_jax.validate import validate

        check_count("evaluate", "--temperatures", temperatures)
        for flag, number in (("ais", ais), ("gaps", gaps)):
            if number < 0:
                raise ConfigError(f"--{flag} must be at least 0, got {number}.")
        opened = open_run(run)
        if k is not None:
            measured = dataclasses.replace(opened.config.evaluate, evaluation_samples=k)
            config = validate(dataclasses.replace(opened.config, evaluate=measured))
            opened = dataclasses.replace(opened, config=config)
        state = load_state(opened)
        params = state.best_params if epoch is None else load_snapshot(opened, epoch)
        result = measure.protocol(opened, params, seed=seed) | measure.representation(opened, params)
        result |= measure.disentanglement(opened, params) | measure.code_use(opened, params)
        result |= measure.progress(opened, state) if epoch is None else measure.snapshot_progress(opened, epoch)
        estimates = None
        if measure.has_likelihood(opened, params):
            found, estimates = measure.likelihood(opened, params, epoch=epoch, seed=seed, console=console)
            result |= found
        # Written now, and again with more: what took long is kept if the rest is interrupted.
        path = report.write_evaluation(opened, result, epoch)
        if estimates is not None:
            with console.status("diagnostics"):
                result |= measure.diagnostics(opened, params, result["log_marginal"], seed=seed, gap_examples=gaps)
        if ais:
            with console.status("annealed importance sampling"):
                result |= measure.annealed(opened, params, examples=ais, num_temperatures=temperatures, seed=seed)
            if estimates is not None:
                result["ais_sampled_log_marginal"] = float(estimates.value[:ais].mean())
                result["ais_sampled_k"] = result["k"]
        report.write_evaluation(opened, result, epoch)
        console.print(report.table(result, str(run)))
        console.print(f"written: {path}", soft_wrap=True)
        return 0

    return _parse("evaluate", evaluate, arguments)


def _compare(arguments: list[str], console: Console) -> int:
    runs_type = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN…")]

    def compare(runs: runs_type, picture: Path | None = None) -> int:  # pyright: ignore[reportInvalidTypeForm]
        """Evaluated runs side by side; runs that differ in their seed alone are one row.

        Args:
            runs: Directories of the runs; the first is what the others are compared with.
            picture: Draw the bound against the examples seen, of every run, into this file.
        """
        from vae_jax import plots
        from vae_jax.compare import comparison, curves, grouped, read_run

        if not runs:
            raise ConfigError("name the runs to compare: vae-jax compare RUN RUN …")
        rows = grouped([read_run(run) for run in runs])
        console.print(comparison(rows))
        if picture is not None:
            plots.bound_curves({"": curves(rows)}).savefig(picture, dpi=150)
            console.print(f"written: {picture}", soft_wrap=True)
        return 0

    return _parse("compare", compare, arguments)


def _sample(arguments: list[str], console: Console) -> int:
    def sample(run: _RunPath, count: int = 72, seed: int = 0, out: Path | None = None) -> int:
        """Draw x from the model: an .npz with `x` (samples), `mean` (of p(x | z)) and `z`, and a picture of images.

        Args:
            run: Directory of the run.
            count: Number of samples.
            seed: Seed of the samples.
            out: The .npz file; by default RUN/samples.npz.
        """
        from vae_jax.measure import check_prior
        from vae_jax.report import write_samples
        from vae_jax.train.run import load_state, open_run

        opened = open_run(run)
        state = load_state(opened)
        check_prior(opened, state)
        for path in write_samples(opened, state.best_params, count=count, seed=seed, out=out):
            console.print(f"written: {path}", soft_wrap=True)
        return 0

    return _parse("sample", sample, arguments)


def _encode(arguments: list[str], console: Console) -> int:
    data_type = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]

    def encode(run: _RunPath, data: data_type, data_dir: Path | None = None, out: Path | None = None) -> int:  # pyright: ignore[reportInvalidTypeForm]
        """Codes of data under a run's encoder: an .npz with `mean`, `stddev` and `label` for every example.

        Args:
            run: Directory of the run.
            data: digits, curve, an .npz or .npy file, or a dataset of TFDS; all its examples are encoded, in order.
            data_dir: Folder of prepared TFDS datasets; by default the run's.
            out: The .npz file; by default RUN/codes.npz.
        """
        from vae_jax.report import write_codes
        from vae_jax.train.run import load_state, open_run

        opened = open_run(run)
        path = write_codes(opened, load_state(opened).best_params, data=data, data_dir=data_dir, out=out)
        console.print(f"written: {path}", soft_wrap=True)
        return 0

    return _parse("encode", encode, arguments)


def _score(arguments: list[str], console: Console) -> int:
    codes_type = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CODES")]
    factors_type = Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="FACTORS")]

    def score(codes: codes_type, factors: factors_type = None, out: Path | None = None) -> int:  # pyright: ignore[reportInvalidTypeForm]
        """How well codes of any library separate known factors: MIG, SAP, DCI and more.

        Args:
            codes: A .npy file of codes [n, d], or the .npz file of vae-jax encode, which may hold the factors too.
            factors: A .npy file of integers [n, f].
            out: Write the scores into this .json file.
        """
        from vae_jax.report import score_files

        table, scores = score_files(codes, factors)
        console.print(table)
        if out is not None:
            out.write_text(json.dumps(scores, indent=2) + "\n")
            console.print(f"written: {out}", soft_wrap=True)
        return 0

    return _parse("score", score, arguments)


def _configs(arguments: list[str], console: Console) -> int:
    if arguments:
        raise ConfigError(
            f"configs takes no arguments, got {' '.join(arguments)}. For one of them: vae-jax train NAME --help"
        )
    names = configs.config_names()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {configs.load_config(name).description}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
