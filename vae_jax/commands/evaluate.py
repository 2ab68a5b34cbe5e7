"""`vae-jax evaluate`, `compare`, `nll` and `score`: numbers of runs, of log-weights and of codes."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from vae_jax.commands.parse import RunPath, on_all_devices, parse
from vae_jax.core.errors import RequestError
from vae_jax.core.files import write_json


def evaluate_command(arguments: list[str], console: Console) -> int:
    """Measure a run."""

    def evaluate(
        run: RunPath,
        k: int | None = None,
        seed: int = 0,
        epoch: int | None = None,
        gaps: int | None = None,
        ais: int = 0,
        temperatures: int = 1000,
        decodings: int = 10,
    ) -> int:
        """Measure the best parameters of a run on the test split; writes RUN/evaluation.json and .npz.

        Args:
            run: Directory of the run.
            k: Samples per example of the importance-weighted log p(x); by default the config's.
            seed: Seed of the samples.
            epoch: Measure the snapshot of this epoch instead; writes RUN/evaluation-epoch-N.json.
            gaps: Measure the inference gaps on this many examples; by default the config's; 0 leaves them out.
            ais: Measure this many examples by annealed importance sampling too, with its BDMC gap; slow.
            temperatures: Temperatures of annealed importance sampling.
            decodings: Draws of a string for each code, of a model of strings; published numbers have 100.
        """
        from vae_jax.core.checks import check_count
        from vae_jax.measure.annealed import check_annealed
        from vae_jax.measure.evaluation import FURTHER, evaluate, first_measurements, measurements_of, write_evaluation
        from vae_jax.measure.measurement import Options
        from vae_jax.measure.subject import subject_of, subject_of_snapshot
        from vae_jax.report.table import evaluation_table
        from vae_jax.systems.registry import validate
        from vae_jax.train.files import check_writable
        from vae_jax.train.run import load_state, open_run

        check_count("evaluate", "--temperatures", temperatures)
        check_count("evaluate", "--decodings", decodings)
        for flag, number in (("ais", ais), ("gaps", gaps)):
            if number is not None and number < 0:
                raise RequestError(f"--{flag} must be at least 0, got {number}.")
        opened = open_run(run)
        check_writable(run)
        asked = {name: n for name, n in (("evaluation_samples", k), ("gap_examples", gaps)) if n is not None}
        if asked:
            measured = dataclasses.replace(opened.config.evaluate, **asked)
            config = validate(dataclasses.replace(opened.config, evaluate=measured))
            opened = dataclasses.replace(opened, config=config)
        state = load_state(opened)
        subject = subject_of(opened, state) if epoch is None else subject_of_snapshot(opened, epoch)
        if ais:
            check_annealed(subject)
        options = Options(seed, decodings, ais, temperatures, console=console)
        result = evaluate(subject, first_measurements(opened.config), options)
        # Written now, and again with more: what took long is kept if the rest is interrupted.
        path = write_evaluation(subject, result)
        for measurement in FURTHER:
            result = evaluate(subject, [measurement], options, result)
            write_evaluation(subject, result)
        console.print(evaluation_table(subject, result, measurements_of(opened.config)))
        console.print(f"written: {path}", soft_wrap=True)
        return 0

    return parse("evaluate", on_all_devices(evaluate), arguments)


def compare_command(arguments: list[str], console: Console) -> int:
    """Put runs side by side."""
    runs_type = Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN…")]

    def compare(runs: runs_type, picture: Path | None = None) -> int:  # pyright: ignore[reportInvalidTypeForm]
        """Evaluated runs side by side; runs that differ in their seed alone are one row.

        Args:
            runs: Directories of the runs; the first is what the others are compared with.
            picture: Draw the bound against the examples seen, of every run, into this file.
        """
        from vae_jax.measure.comparison import curves, grouped, read_run
        from vae_jax.pictures import plots
        from vae_jax.report.compare import comparison

        if not runs:
            raise RequestError("name the runs to compare: vae-jax compare RUN RUN …")
        rows = grouped([read_run(run) for run in runs])
        console.print(comparison(rows))
        if picture is not None:
            plots.save_figure(picture, plots.bound_curves({"": curves(rows)}))
            console.print(f"written: {picture}", soft_wrap=True)
        return 0

    return parse("compare", compare, arguments)


def score_command(arguments: list[str], console: Console) -> int:
    """Score codes of any library against factors."""
    codes_type = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CODES")]
    factors_type = Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="FACTORS")]

    def score(codes: codes_type, factors: factors_type = None, out: Path | None = None) -> int:  # pyright: ignore[reportInvalidTypeForm]
        """How well codes of any library separate known factors: MIG, SAP, DCI and more.

        Args:
            codes: A .npy file of codes [n, d], or the .npz file of vae-jax encode, which may hold the factors too.
            factors: A .npy file of numbers [n, f]. A column of whole numbers is one of classes.
            out: Write the scores into this .json file.
        """
        from vae_jax.report.scores import score_files

        _show(*score_files(codes, factors), out, console)
        return 0

    return parse("score", score, arguments)


def _show(table: Any, numbers: dict[str, Any], out: Path | None, console: Console) -> None:
    """Print a table, and write its numbers where a file is named."""
    console.print(table)
    if out is not None:
        write_json(out, numbers)
        console.print(f"written: {out}", soft_wrap=True)


def nll_command(arguments: list[str], console: Console) -> int:
    """Weigh the log-weights of any library."""
    weights_type = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="LOG_WEIGHTS")]

    def nll(log_weights: weights_type, out: Path | None = None) -> int:  # pyright: ignore[reportInvalidTypeForm]
        """log p(x) from log-weights of any library, with its errors, and whether k was enough.

        Args:
            log_weights: A .npy file [n, k] of log p(x, z) - log q(z | x) in nats: n examples, k samples of z each.
            out: Write the numbers into this .json file.
        """
        from vae_jax.report.nll import weigh_file

        _show(*weigh_file(log_weights), out, console)
        return 0

    return parse("nll", nll, arguments)
