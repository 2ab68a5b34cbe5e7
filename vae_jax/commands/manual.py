"""`vae-jax manual`: the help of every command as one page of Markdown."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich.console import Console

from vae_jax.commands.parse import parse

Commands = Mapping[str, Callable[[list[str], Console], int]]
_START = """# Command line

Written by `vae-jax manual`. `vae-jax COMMAND --help` shows the same on the screen; `vae-jax train CONFIG --help` only
what that config reads. `eval "$(vae-jax completion)"` makes bash complete commands, configs, and the flags of `train`
and `sweep` with their values.
"""
# A terminal of this width: a page shows as many letters in a line.
_COLUMNS = "96"
# The commands that take a config show all fields of one.
_ASKED = {"train": ["digits", "--help-all"], "sweep": ["sprites", "--help-all"]}
_FIELDS = "experiment options:"


def manual_command(commands: Commands, arguments: list[str]) -> int:
    """Print the page of these commands."""

    def manual() -> int:
        """Print the help of every command as one page of Markdown."""
        print(page(commands), end="")
        return 0

    return parse("manual", manual, arguments)


def page(commands: Commands) -> str:
    """The page, as text."""
    return "\n".join([_START, *(_section(name, command) for name, command in commands.items())])


def _section(name: str, command: Callable[[list[str], Console], int]) -> str:
    usage, description, *options = plain(_help(command, _ASKED.get(name, ["--help"]))).splitlines()
    if name == "sweep":
        options = [*options[: options.index(_FIELDS)], "and every field of train."]
    return "\n".join([f"## {name}", "", description, "", "```text", usage, *options, "```", ""])


def plain(text: str) -> str:
    """A help as tyro writes it where nobody looks at a screen, without the lines that are ruled in it."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip(" -")]
    # Titles of sections stand out by one space.
    return "\n".join(f"\n{line.strip()}:" if line[:1] == " " != line[1:2] else line for line in lines)


def _help(command: Callable[[list[str], Console], int], asked: Sequence[str]) -> str:
    said = io.StringIO()
    with _wide(), contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        command(list(asked), Console(file=said))
    return said.getvalue()


@contextlib.contextmanager
def _wide() -> Iterator[None]:
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = _COLUMNS
    try:
        yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
