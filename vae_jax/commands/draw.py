"""`vae-jax sample` and `encode`: what a trained model gives, as arrays."""

from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from vae_jax.commands.parse import RunPath, on_all_devices, opened, opened_model, parse
from vae_jax.core.errors import RequestError


def sample_command(arguments: list[str], console: Console) -> int:
    """Draw from the model of a run."""

    def sample(
        run: RunPath,
        count: int = 72,
        seed: int = 0,
        condition: tuple[str, ...] = (),
        density: Literal["normal", "mixture"] | None = None,
        like: int | None = None,
        spread: float = 1.0,
        out: Path | None = None,
    ) -> int:
        """Draw x from the model: an .npz with `x`, `z` and, where it has one, `mean` of p(x | z); of images a
        picture, of a table rows in a .csv file beside it.

        Args:
            run: Directory of the run.
            count: Number of samples.
            seed: Seed of the samples.
            condition: What a conditional model is told: a class, or its numbers; by default each sample has its own.
            density: Draw z from a density that is fitted to the codes of the training examples, which are read again;
                an autoencoder has no prior.
            like: Draw variations of this test example, by its number, from the codes around its own.
            spread: How many times as wide as q(z | x) those codes lie; at 1 they are codes of the example itself.
            out: The .npz file; by default RUN/samples.npz, or RUN/variations.npz.
        """
        from vae_jax.report.arrays import write_samples

        subject = opened_model(run) if density is None and like is None else opened(run)
        if like is None and spread != 1.0:
            raise RequestError(f"--spread {spread} is for variations of an example: --like 0 --spread {spread}.")
        if like is not None and (condition or density):
            raise RequestError("--like draws from the codes around an example: leave --condition and --density out.")
        options = {"count": count, "seed": seed, "condition": condition, "density": density}
        options |= {"like": like, "spread": spread}
        for path in write_samples(subject, out=out, **options):
            console.print(f"written: {path}", soft_wrap=True)
        return 0

    return parse("sample", sample, arguments)


def encode_command(arguments: list[str], console: Console) -> int:
    """Codes of data under the encoder of a run."""
    data_type = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]

    def encode(run: RunPath, data: data_type, data_dir: Path | None = None, out: Path | None = None) -> int:  # pyright: ignore[reportInvalidTypeForm]
        """Codes of data under a run's encoder: an .npz with `mean`, `stddev` and `label` for every example.

        Args:
            run: Directory of the run.
            data: What --dataset takes: a name, a file or a folder; all its examples are encoded, in order.
            data_dir: Folder of prepared TFDS datasets; by default the run's.
            out: The .npz file; by default RUN/codes.npz.
        """
        from vae_jax.report.arrays import write_codes

        path = write_codes(opened_model(run), data=data, data_dir=data_dir, out=out)
        console.print(f"written: {path}", soft_wrap=True)
        return 0

    return parse("encode", on_all_devices(encode), arguments)
