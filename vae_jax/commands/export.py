"""`vae-jax export`: a trained model as files that need nothing of this package."""

from pathlib import Path

import tyro
from rich.console import Console

from vae_jax.commands.parse import RunPath, opened_model, parse


def export_command(arguments: list[str], console: Console) -> int:
    """Write a model for others."""

    def export(
        run: RunPath,
        k: int = 100,
        onnx: tyro.conf.FlagCreatePairsOff[bool] = False,
        push: str | None = None,
        out: Path | None = None,
    ) -> int:
        """A model as programs of jax.export, parameters as safetensors, and a card that says how to load them.

        Args:
            run: Directory of the run.
            k: Samples of z for log_marginal.
            onnx: Write encode.onnx and decode.onnx too; needs jax2onnx.
            push: Upload the folder to this repository of the Hugging Face Hub; needs huggingface_hub and a login.
            out: The folder; by default RUN/export.
        """
        from vae_jax.core.checks import check_count
        from vae_jax.report.export import write_export
        from vae_jax.report.hub import push_folder
        from vae_jax.report.onnx import write_onnx
        from vae_jax.train.files import EXPORT

        check_count("export", "--k", k)
        folder = out or run / EXPORT
        subject = opened_model(run)
        paths = write_export(subject, folder, k=k)
        paths += write_onnx(subject, folder) if onnx else []
        for path in paths:
            console.print(f"written: {path}", soft_wrap=True)
        if push is not None:
            console.print(f"pushed: {push_folder(folder, push)}", soft_wrap=True)
        return 0

    return parse("export", export, arguments)
