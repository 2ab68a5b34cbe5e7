"""`vae-jax evaluate`, `compare` and `score`: numbers of runs, and of codes."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from vae_jax.atomic import write_whole
from vae_jax.commands.parse import RunPath, parse
from vae_jax.config import ConfigError


def evaluate_command(arguments: list[str], console: Console) -> int:
    """Measure a run."""

    def evaluate(
        run: RunPath,
        k: int | None = None,
        seed: int = 0,
        epoch: int | None = None,
        gaps: int = 100,
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
            gaps: Measure the inference gaps on this many examples; 0 leaves them out, and is faster.
            ais: Measure this many examples by annealed importance sampling too, with its BDMC gap; slow.
            temperatures: Temperatures of annealed importance sampling.
            decodings: Draws of a string for each code, of a model of strings; published numbers have 100.
        """
        from vae_jax import measure, measure_codes, measure_strings, report
        from vae_jax.checks import check_count
        from vae_jax.train.run import load_snapshot, load_state, open_run
        from vae_jax.validate import validate

        check_count("evaluate", "--temperatures", temperatures)
        check_count("evaluate", "--decodings", decodings)
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
        if ais:
            measure.check_annealed(opened, params)
        result = measure.protocol(opened, params, seed=seed) | measure_codes.representation(opened, params)
        result |= measure_codes.disentanglement(opened, params) | measure_codes.code_use(opened, params)
        result |= measure.progress(opened, state) if epoch is None else measure.snapshot_progress(opened, epoch)
        result |= measure_strings.strings(opened, params, decodings=decodings, seed=seed)
        estimates = None
        if measure.has_likelihood(opened, params):
            found, estimates = measure.likelihood(opened, params, epoch=epoch, seed=seed, console=console)
            result |= found
        # Written now, and again with more: what took long is kept if the rest is interrupted.
        path = report.write_evaluation(opened, result, epoch)
        if estimates is not None:
            with console.status("diagnostics"):
                result |= measure.diagnostics(opened, params, result["log_marginal"], seed=seed, gap_examples=gaps)
            report.write_evaluation(opened, result, epoch)
        if ais:
            chains = {"examples": ais, "num_temperatures": temperatures, "seed": seed}
            result |= measure.annealed(opened, params, estimates, **chains, epoch=epoch, console=console)
            report.write_evaluation(opened, result, epoch)
        console.print(report.table(result, str(run)))
        console.print(f"written: {path}", soft_wrap=True)
        return 0

    return parse("evaluate", evaluate, arguments)


def compare_command(arguments: list[str], console: Console) -> int:
    """Put runs side by side."""
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

    return parse("compare", compare, arguments)


def score_command(arguments: list[str], console: Console) -> int:
    """Score codes of any library against factors."""
    codes_type = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CODES")]
    factors_type = Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="FACTORS")]

    def score(codes: codes_type, factors: factors_type = None, out: Path | None = None) -> int:  # pyright: ignore[reportInvalidTypeForm]
        """How well codes of any library separate known factors: MIG, SAP, DCI and more.

        Args:
            codes: A .npy file of codes [n, d], or the .npz file of vae-jax encode, which may hold the factors too.
            factors: A .npy file of integers [n, f].
            out: Write the scores into this .json file.
        """
        from vae_jax.exports import score_files

        table, scores = score_files(codes, factors)
        console.print(table)
        if out is not None:
            write_whole(out, json.dumps(scores, indent=2) + "\n")
            console.print(f"written: {out}", soft_wrap=True)
        return 0

    return parse("score", score, arguments)
