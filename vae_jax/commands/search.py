"""`vae-jax search`: the strings that score best, found in the latent space of a run."""

from pathlib import Path

from rich.console import Console

from vae_jax.commands.parse import RunPath, opened, parse


def search_command(arguments: list[str], console: Console) -> int:
    """Search the latent space of a run on strings."""

    def search(
        run: RunPath, rounds: int = 10, batch: int = 50, start: int = 1000, seed: int = 0, out: Path | None = None
    ) -> int:
        """Find strings that score well by Bayesian optimisation: expressions near 1/3+x+sin(x*x), by log(1 + MSE), or
        molecules, by penalised log P. Writes a .json of what was scored, the best first.

        Args:
            run: Directory of a run on strings, whose valid_as is equations or molecules.
            rounds: How often the Gaussian process is fitted anew.
            batch: New strings that are scored in each round.
            start: Training strings, at random, that are scored before the search: the paper scored all.
            seed: Seed of these, and of the candidates.
            out: The .json file; by default RUN/search.json.
        """
        from vae_jax.core.checks import check_count
        from vae_jax.search.strings import search_file, search_run, target_of, write_search

        for flag, number in (("--rounds", rounds), ("--batch", batch), ("--start", start)):
            check_count("search", flag, number)
        subject = opened(run)
        path, target = search_file(subject, out), target_of(subject)
        scored = search_run(
            subject,
            target,
            rounds=rounds,
            batch=batch,
            start=start,
            seed=seed,
            on_round=lambda line: console.print(line, soft_wrap=True),
        )
        for written in write_search(subject, target, scored, path):
            console.print(f"written: {written}", soft_wrap=True)
        return 0

    return parse("search", search, arguments)
