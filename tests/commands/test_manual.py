import re
from pathlib import Path

import pytest

from vae_jax.cli import main
from vae_jax.commands.manual import page, plain

PAGE = (Path(__file__).parents[2] / "docs" / "command_line.md").read_text(encoding="utf-8")
FLAG = r"(?<![\w-])--[a-z][\w-]*"


def sections(text: str) -> dict[str, set[str]]:
    """The flags of each command of a page."""
    parts = re.split(r"^## (\w+)$", text, flags=re.MULTILINE)[1:]
    return {name: set(re.findall(FLAG, part)) for name, part in zip(parts[::2], parts[1::2], strict=True)}


def test_the_page_of_the_site_has_every_command_and_flag(capsys: pytest.CaptureFixture[str]) -> None:
    # How lines are cut and defaults written is the affair of the version of tyro.
    assert main(["manual"]) == 0
    assert sections(PAGE) == sections(capsys.readouterr().out), "vae-jax manual > docs/command_line.md"


def test_it_has_the_commands_that_the_usage_names(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    assert set(sections(PAGE)) == set(re.findall(r"^  (\w+) ", capsys.readouterr().out, re.MULTILINE))


def test_a_command_that_fails_is_no_section() -> None:
    def broken(arguments: list[str], console: object) -> int:
        raise ValueError("no help")

    with pytest.raises(ValueError, match="no help"):
        page({"broken": broken})


def test_rules_go_and_titles_stand_out() -> None:
    text = "usage: it\n\nWhat it does.\n\n options\n\n -----\n\n  --flag INT\n\n        What it says.\n"
    assert plain(text) == "usage: it\nWhat it does.\n\noptions:\n  --flag INT\n        What it says."
