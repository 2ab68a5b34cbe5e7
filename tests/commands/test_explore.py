from pathlib import Path

import pytest

from vae_jax.cli import main
from vae_jax.train.files import PICTURES, REPORT


def test_a_run_is_drawn_and_has_a_page(digits, capsys: pytest.CaptureFixture[str]) -> None:
    directory: Path = digits[0].directory
    assert main(["explore", str(directory)]) == 0
    assert str(directory / REPORT) in capsys.readouterr().out
    assert (directory / REPORT).stat().st_size > 10_000
    for name in ("manifold", "likeliest_codes"):
        assert (directory / PICTURES / f"{name}.png").is_file()


def test_what_is_no_run_is_refused(refusal) -> None:
    assert "holds no run" in refusal("explore", "nowhere")
