"""`vae-jax sample` and `encode`: what a trained model gives, as arrays."""

from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from vae_jax.commands.parse import RunPath, on_all_devices, opened, opened_model, parse


def sample_command(arguments: list[str], console: Console) -> int:
    """Draw from the model of a run."""

    def sample(
        run: RunPath,
        count: int = 72,
        seed: int = 0,
        condition: tuple[str, ...] = (),
        density: Literal["normal", "mixture"] | None = None,
        out: Path | None = None,
    ) -> int:
        """Draw x from the model: an .npz with `x` (samples), `mean` (of p(x | z)) and `z`, and a picture of images.

        Args:
            run: Directory of the run.
            count: Number of samples.
            seed: Seed of the samples.
            condition: What a conditional model is told: a class, or its numbers; by default each sample has its own.
            density: Draw z from a density that is fitted to the codes of the training examples, which are read again;
                an autoencoder has no prior.
            out: The .npz file; by default RUN/samples.npz.
        """
        from vae_jax.report.arrays import write_samples

        subject = opened_model(run) if density is None else opened(run)
        options = {"count": count, "seed": seed, "condition": condition, "density": density}
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
            data: digits, curve, an .npz or .npy file, or a dataset of TFDS; all its examples are encoded, in order.
            data_dir: Folder of prepared TFDS datasets; by default the run's.
            out: The .npz file; by default RUN/codes.npz.
        """
        from vae_jax.report.arrays import write_codes

        path = write_codes(opened_model(run), data=data, data_dir=data_dir, out=out)
        console.print(f"written: {path}", soft_wrap=True)
        return 0

    return parse("encode", on_all_devices(encode), arguments)
