"""What the commands on a run have in common: how arguments are read, and a run opened."""

from pathlib import Path

import pytest

from vae_jax.commands.parse import RunPath, opened, parse
from vae_jax.core.errors import ConfigError


def example(run: RunPath, count: int = 3, loud: bool = False, out: Path | None = None) -> tuple:
    """What it does.

    Args:
        run: Where it is.
        count: How many.
        loud: Whether it is heard.
        out: Where to.
    """
    return run, count, loud, out


def test_the_run_comes_first_and_the_rest_are_flags() -> None:
    assert parse("example", example, ["there"]) == (Path("there"), 3, False, None)
    given = ["there", "--count", "5", "--loud", "--out", "a b.npz"]
    assert parse("example", example, given) == (Path("there"), 5, True, Path("a b.npz"))


def test_help_is_the_docstring(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("example", example, ["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    for part in ("vae-jax example", "RUN", "What it does", "How many", "--count"):
        assert part in text


@pytest.mark.parametrize(("arguments", "message"), [([], "RUN"), (["there", "--cout", "5"], "--cout")])
def test_what_cannot_be_read_is_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("example", example, arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_a_run_is_opened_with_its_best_parameters(run: Path, tmp_path: Path) -> None:
    subject = opened(run)
    assert subject.run.directory == run
    assert subject.snapshot is None
    assert subject.progress["step"] == subject.progress["num_steps"] == 36
    with pytest.raises(ConfigError, match="holds no run"):
        opened(tmp_path)
