"""What the commands on a run have in common."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

FLAT = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagConversionOff)


RunPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def parse(command: str, function: Callable[..., Any], arguments: list[str]) -> Any:
    """Call `function` with the arguments of `vae-jax command`, whose help is its docstring."""
    return tyro.cli(function, prog=f"vae-jax {command}", args=arguments, config=FLAT)
