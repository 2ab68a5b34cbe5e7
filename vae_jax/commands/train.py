"""`vae-jax train`, `sweep` and `resume`: train, measure, draw, and say what came of it."""

import contextlib
import dataclasses
import difflib
import typing
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from vae_jax.commands.parse import RunPath, parse
from vae_jax.config import files
from vae_jax.config.fields import Experiment
from vae_jax.config.naming import description_of
from vae_jax.config.trial import quick
from vae_jax.core.errors import ENDED_BY, ConfigError

_HELP_ALL = "--help-all"


@dataclasses.dataclass(frozen=True)
class _TrainOptions:
    """Options of the command itself."""

    experiment: Experiment
    out: Path | None = None
    """Directory of the run; by default runs/CONFIG, of your own data runs/DATA, with a number where that exists."""
    quick: tyro.conf.FlagCreatePairsOff[bool] = False
    """A few steps on a small embedded stand-in for the data: seconds, no download."""
    distributed: tuple[str, ...] | None = None
    """Train with other processes: alone under SLURM, Open MPI or on TPU hosts, else HOST:PORT COUNT NUMBER."""


@dataclasses.dataclass(frozen=True)
class _SweepOptions(_TrainOptions):
    over: tuple[str, ...] = ()
    """Fields and their numbers, objective.beta=1,2,4: every combination of them is trained."""
    seeds: int = 3
    """Seeds of each combination, from --seed on."""


def train_command(arguments: list[str], console: Console) -> int:
    """Train a model from a config."""
    chosen = _experiment("train", _TrainOptions, arguments)
    if chosen is None:
        return 0
    options, name = chosen
    from vae_jax.data.own import is_own, proposed
    from vae_jax.measure.evaluation import first_measurements
    from vae_jax.report.columns import column_table
    from vae_jax.train.lock import writing
    from vae_jax.train.processes import by_first, is_first
    from vae_jax.train.run import create, open_run
    from vae_jax.train.source import reading_of

    data = options.experiment.data
    # Before anything is written: one of the user's may fail to load.
    first_measurements(options.experiment)
    _meet(options)
    with _directory(options, name) as directory:
        run = by_first(lambda: create(options.experiment, directory), lambda: open_run(directory))
    if is_own(data.dataset) and (found := proposed(data.dataset, reading_of(options.experiment))):
        console.print(column_table(found))
    _show_start(description_of(options.experiment, name), f"run: {run.directory}", run, console)
    with writing(run.directory) if is_first() else contextlib.nullcontext():
        return _train_and_report(run, console)


def sweep_command(arguments: list[str], console: Console) -> int:
    """Train many members of a config in one program."""
    chosen = _experiment("sweep", _SweepOptions, arguments)
    if chosen is None:
        return 0
    options, name = chosen
    from vae_jax.measure.evaluation import first_measurements
    from vae_jax.train.grid import parse_grid
    from vae_jax.train.lock import writing
    from vae_jax.train.processes import by_first, is_first
    from vae_jax.train.sweep import create_sweep, open_sweep

    first_measurements(options.experiment)
    grid = parse_grid(options.over)
    _meet(options)
    with _directory(options, name) as directory:
        sweep = by_first(
            lambda: create_sweep(options.experiment, grid, options.seeds, directory), lambda: open_sweep(directory)
        )
    _show_start(description_of(options.experiment, name), f"sweep: {sweep.directory}", sweep, console)
    with writing(sweep.directory) if is_first() else contextlib.nullcontext():
        return _train_and_report_sweep(sweep, console)


def resume_command(arguments: list[str], console: Console) -> int:
    """Go on with a run or a sweep."""

    def resume(run: RunPath, mesh: tuple[str, ...] | None = None, distributed: tuple[str, ...] | None = None) -> int:
        """Continue an interrupted run or sweep to its end, bit for bit as if it had not been interrupted.

        Args:
            run: Directory of the run or sweep.
            mesh: Devices along each axis, where they are others than it began on: data=4. Then the bits are others.
            distributed: Train with other processes: alone under SLURM, Open MPI or on TPU hosts, else HOST:PORT COUNT
                NUMBER.
        """
        from vae_jax.train.devices import on_mesh
        from vae_jax.train.files import is_sweep, read_config
        from vae_jax.train.lock import writing
        from vae_jax.train.processes import is_first, join_processes
        from vae_jax.train.run import open_run
        from vae_jax.train.sweep import open_sweep

        # There is none to be locked where there is no run.
        read_config(run)
        join_processes(distributed)
        with writing(run) if is_first() else contextlib.nullcontext():
            if is_sweep(run):
                return _train_and_report_sweep(on_mesh(open_sweep(run), mesh), console)
            return _train_and_report(on_mesh(open_run(run), mesh), console)

    return parse("resume", resume, arguments)


def _show_start(description: str, where: str, run: Any, console: Console) -> None:
    """What is trained, where it is written, and on which devices where there are several."""
    from vae_jax.train.devices import told
    from vae_jax.train.processes import is_first

    for line in (description, where, told(run.mesh)):
        if line is not None and is_first():
            console.print(line, soft_wrap=True)


def _meet(options: _TrainOptions) -> None:
    """Wait for the other processes of a new run."""
    from vae_jax.train.processes import join_processes

    if options.distributed is not None and options.out is None:
        raise ConfigError("--distributed needs the directory of the run, which all processes share: --out DIRECTORY.")
    join_processes(options.distributed)


def _directory(options: _TrainOptions, name: str) -> contextlib.AbstractContextManager[Path]:
    """The directory of a new run, for as long as the run is made."""
    from vae_jax.data.own import is_own
    from vae_jax.data.strings import is_strings
    from vae_jax.train.directory import directory_of_its_own

    dataset = options.experiment.data.dataset
    # A run on one's own data is named after them.
    own = is_own(dataset) or (is_strings(dataset) and Path(dataset).is_file())
    default = Path(dataset.removeprefix("hf:") if own else name).name.split(".")[0] + (
        "-quick" if options.quick else ""
    )
    return directory_of_its_own(Path("runs") / default) if options.out is None else contextlib.nullcontext(options.out)


def _experiment(command: str, kind: Any, arguments: list[str]) -> tuple[Any, str] | None:
    """The options of `train` or `sweep`, and the name of the config; None where only help was asked for, and given."""
    usage = f"vae-jax {command} CONFIG"
    if not arguments or arguments[0].startswith("-"):
        names = ", ".join(files.config_names())
        if arguments and arguments[0] in ("-h", "--help"):
            print(f"usage: {usage} [--field value …]\n\nCONFIG is one of {names}, or a path ending in .py.")
            print(f"The fields of a config: {usage} --help")
            return None
        raise ConfigError(f"name a config first: {usage}. There are {names}.")
    name = arguments[0]
    config = files.load_config(name)
    _check_flags(f"vae-jax {command} {name}", arguments[1:], kind)
    # Before the flags are read, so that a flag still has the last word.
    config = quick(config) if "--quick" in arguments else config
    if _HELP_ALL in arguments or {"-h", "--help"} & set(arguments):
        _print_help(f"vae-jax {command} {name}", kind, config, everything=_HELP_ALL in arguments)
        return None
    options = tyro.cli(
        kind,
        prog=f"vae-jax {command} {name}",
        description=config.description,
        default=kind(config),
        args=arguments[1:],
        config=(tyro.conf.OmitArgPrefixes,),
    )
    from vae_jax.data.own import own_path

    experiment = options.experiment
    # The run may be looked at from another folder.
    data = experiment.data
    if data.dataset == "frey_faces" and data.data_dir is None:
        data = dataclasses.replace(data, data_dir=".")
    if data.data_dir is not None:
        data = dataclasses.replace(data, data_dir=str(Path(data.data_dir).expanduser().absolute()))
    if (path := own_path(data.dataset)) is not None:
        data = dataclasses.replace(data, dataset=str(path.expanduser().absolute()))
    strings = experiment.strings
    if strings.grammar.endswith(".lark"):
        strings = dataclasses.replace(strings, grammar=str(Path(strings.grammar).expanduser().absolute()))
    experiment = dataclasses.replace(experiment, data=data, strings=strings)
    return dataclasses.replace(options, experiment=files.with_absolute_paths(experiment, Path())), name


def _print_help(usage: str, kind: Any, config: Experiment, *, everything: bool) -> None:
    """The fields of a config; unless everything is asked for without those that its system does not read."""
    from vae_jax.systems.registry import spec_of, unread

    left = {} if everything else {name: fields for name, fields in unread(spec_of(config.system)).items() if fields}
    sections = typing.get_type_hints(Experiment)
    kinds = {name: _without(sections[name], fields) for name, fields in left.items()}
    parts = {name: kinds[name](**vars(getattr(config, name))) for name in kinds}
    types = [(name, kinds[name], dataclasses.field(default=part)) for name, part in parts.items()]
    shown: Any = dataclasses.make_dataclass("Experiment", types, bases=(Experiment,), frozen=True)
    options: Any = dataclasses.make_dataclass("Options", [("experiment", shown)], bases=(kind,), frozen=True)
    values = {field.name: getattr(config, field.name) for field in dataclasses.fields(Experiment)} | parts
    # tyro prints its help and leaves the program.
    with contextlib.suppress(SystemExit):
        tyro.cli(
            options,
            prog=usage,
            description=config.description,
            default=options(shown(**values)),
            args=["--help"],
            config=(tyro.conf.OmitArgPrefixes,),
        )
    if left:
        hidden = sum(map(len, left.values()))
        print(f"Not shown: {hidden} flags that --system {config.system} does not read. All: {_HELP_ALL}")


def _without(kind: Any, names: Sequence[str]) -> Any:
    """A section of a config whose help lacks some of its fields."""
    hints = typing.get_type_hints(kind, include_extras=True)
    hidden = [(name, Annotated[hints[name], tyro.conf.Suppress], getattr(kind, name)) for name in names]
    said = {"__doc__": kind.__doc__}
    return dataclasses.make_dataclass(kind.__name__, hidden, bases=(kind,), frozen=True, namespace=said)


# What flags are called in other tools.
_ELSEWHERE = {
    "lr": ("learning_rate",),
    **dict.fromkeys(("gpus", "devices"), ("mesh",)),
    **dict.fromkeys(("name", "directory", "output"), ("out",)),
}


def _check_flags(usage: str, arguments: list[str], options: Any) -> None:
    """Refuse in one line a flag that is no field of a config and no option of the command, or whose values are lost.

    Of a flag that is given twice the last has its way. That serves to correct a number, but not to name several.
    """
    sections = [f.type for f in dataclasses.fields(Experiment) if dataclasses.is_dataclass(f.type)]
    known = {f.name for section in [Experiment, options, *sections] for f in dataclasses.fields(section)}
    known |= {"help", "help_all"}
    known |= {f"no_{f.name}" for section in [options, *sections] for f in dataclasses.fields(section) if f.type is bool}
    for argument in arguments:
        field = argument.removeprefix("--").split("=")[0].replace("-", "_")
        if argument.startswith("--") and field not in known:
            close = _ELSEWHERE.get(field) or difflib.get_close_matches(field, known, n=2)
            hint = " or ".join("--" + other.replace("_", "-") for other in close)
            hint = f" Did you mean {hint}?" if close else ""
            raise ConfigError(f"no field {argument.split('=')[0]}.{hint} All of them: {usage} {_HELP_ALL}")
    hints = {name: hint for kind in (options, *sections) for name, hint in typing.get_type_hints(kind).items()}
    given = [word.partition("=")[0] for word in arguments if word.startswith("--")]
    for word in given:
        hint = hints.get(word.removeprefix("--").replace("-", "_"))
        if given.count(word) > 1 and tuple in map(typing.get_origin, (hint, *typing.get_args(hint))):
            raise ConfigError(f"{word} is given {given.count(word)} times, and the first would be lost: give all once.")


def _train_and_report(run: Any, console: Console) -> int:
    from vae_jax.measure.evaluation import first_measurements

    # Read first: a measurement of the user's that fails to load must not cost a training.
    measurements = first_measurements(run.config)
    return _then(run, console, lambda trained: _report(run, trained, measurements, console))


def _then(
    run: Any, console: Console, report: Callable[[Any], int], write: Callable[[Any], object] = lambda state: None
) -> int:
    """Train, let every process `write`, and then report on all devices of the first one; its exit status."""
    from vae_jax.core.mesh import on, place
    from vae_jax.train.devices import everywhere
    from vae_jax.train.loop import train
    from vae_jax.train.processes import is_first

    trained = train(run, console)
    if trained.signal is not None:
        return _stopped(run, trained, console) if is_first() else ENDED_BY + trained.signal
    write(trained.state)
    if not is_first():
        return 0
    with on(everywhere()):
        return report(trained._replace(state=place(trained.state)))


def _report(run: Any, trained: Any, measurements: Sequence[Any], console: Console) -> int:
    from vae_jax.commands.fitted import Fitted
    from vae_jax.measure.evaluation import evaluate, write_evaluation
    from vae_jax.measure.measurement import Options
    from vae_jax.report.panel import panel
    from vae_jax.train.trackers import measured_numbers, tracked

    state = trained.state
    if not trained.moved and _is_measured(run.directory, int(state.train.step), console):
        return 0
    fitted = Fitted(run, state)
    subject = fitted.subject
    result = evaluate(subject, measurements, Options(console=console, grows=True))
    pictures = fitted.pictures()
    if run.config.train.track:
        with tracked(run.config, run.directory) as tracker:
            # Weights & Biases, opened again, takes nothing for a step that it has.
            step = int(state.train.step) + 1
            tracker.log(step, measured_numbers(result))
            for path in pictures:
                tracker.picture(step, path.stem, path)
    # Last: it says that all is done.
    write_evaluation(subject, result)
    console.print(panel(subject, result, measurements))
    # A model that has learned less than nothing since its data are of a wrong scale is a failure, though a whole one.
    return 1 if "worse_than_constant" in result and run.dataset.scale_fault else 0


def _train_and_report_sweep(sweep: Any, console: Console) -> int:
    from vae_jax.measure.evaluation import first_measurements
    from vae_jax.train.sweep import write_members

    # Read first, as for a run.
    first_measurements(sweep.config)
    return _then(
        sweep,
        console,
        lambda trained: _report_sweep(sweep, trained, console),
        lambda state: write_members(sweep, state),
    )


def _report_sweep(sweep: Any, trained: Any, console: Console) -> int:
    from vae_jax.measure.members import measure_members, write_results
    from vae_jax.pictures.sweep import write_sweep_pictures
    from vae_jax.report.sweep import sweep_table
    from vae_jax.train.files import MEMBERS

    state = trained.state
    if not trained.moved and _is_measured(sweep.directory, None, console):
        return 0
    results = measure_members(sweep, state, console)
    write_sweep_pictures(sweep, state, results)
    # Last: it says that all is done.
    path = write_results(sweep, results)
    console.print(sweep_table(sweep, results))
    first, count = sweep.members[0][0], len(sweep.members)
    seconds = f"{float(state.seconds):.1f} s of training for all {count} members"
    console.print(f"{seconds}; each is a run: {sweep.directory / MEMBERS / first}\nwritten: {path}", soft_wrap=True)
    return 0


def _stopped(run: Any, trained: Any, console: Console) -> int:
    """Say how to go on. The exit status is that of the signal, as shells have it: 130 for SIGINT, 143 for SIGTERM."""
    from vae_jax.train.loop import num_steps

    step = int(trained.state.train.step)
    console.print(
        f"stopped at step {step} of {num_steps(run)}, saved. Continue with: vae-jax resume {run.directory}",
        soft_wrap=True,
    )
    return ENDED_BY + trained.signal


def _is_measured(directory: Path, step: int | None, console: Console) -> bool:
    """Whether an evaluation is there, and of the parameters after `step` where one is given, not of an earlier time."""
    from vae_jax.train.files import evaluation_file, read_evaluation

    result = read_evaluation(directory)
    if not result or (step is not None and result.get("step") != step):
        return False
    console.print(f"{directory} is finished and evaluated already: {evaluation_file(directory)}", soft_wrap=True)
    return True
