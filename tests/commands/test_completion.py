import subprocess

import pytest

from vae_jax.cli import main
from vae_jax.commands.completion import script

COMMANDS = ["train", "sweep", "sample", "evaluate"]


def completed(*words: str) -> list[str]:
    """What bash offers for the last of these words."""
    line = " ".join(f"'{word}'" for word in ("vae-jax", *words))
    ask = f"COMP_WORDS=({line}); COMP_CWORD={len(words)}; _vae_jax; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    command = ["bash", "-c", script(COMMANDS) + ask]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sa"], ["sample"]),
        (["train", "digits_c"], ["digits_conv"]),
        (["train", "digits", "--likelihood-s"], ["--likelihood-scale"]),
        (["train", "digits", "--estimator", "d"], ["dreg"]),
        (["sweep", "digits", "--image-colour", ""], ["grey", "colour"]),
        (["train", "digits", "--standardise", "T"], ["True"]),
        (["train", "digits", "--no-stand"], ["--no-stand-in"]),
        (["evaluate", "/us"], ["/usr"]),
        (["train", "digits", "--distr"], ["--distributed"]),
    ],
)
def test_what_is_begun_is_completed(words: list[str], expected: list[str]) -> None:
    assert completed(*words) == expected


def test_the_command_prints_the_script(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion"]) == 0
    printed = capsys.readouterr().out
    assert "complete -o filenames -F _vae_jax vae-jax" in printed
    assert '"train resume' in printed
