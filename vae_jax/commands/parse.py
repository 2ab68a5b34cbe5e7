"""What the commands on a run have in common."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

if TYPE_CHECKING:
    from vae_jax.measure.subject import Subject
    from vae_jax.train.run import Run

FLAT = (tyro.conf.OmitArgPrefixes,)


RunPath = Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]


def parse(command: str, function: Callable[..., Any], arguments: list[str]) -> Any:
    """Call `function` with the arguments of `vae-jax command`, whose help is its docstring."""
    return tyro.cli(function, prog=f"vae-jax {command}", args=arguments, config=FLAT)


def on_all_devices(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a command with its batches cut along all devices that there are."""

    @functools.wraps(function)
    def cut(*arguments: Any, **options: Any) -> Any:
        from vae_jax.core.mesh import on
        from vae_jax.train.devices import everywhere

        with on(everywhere()):
            return function(*arguments, **options)

    return cut


def opened(directory: Path) -> "Subject":
    """The run of a directory with its data and its best parameters. ConfigError where there is none."""
    # Here, so that --help does not load it.
    from vae_jax.train.run import open_run

    return _best_of(open_run(directory))


def opened_model(directory: Path) -> "Subject":
    """The same without its data, for what needs none."""
    from vae_jax.train.run import open_model

    return _best_of(open_model(directory))


def _best_of(run: "Run") -> "Subject":
    from vae_jax.measure.subject import subject_of
    from vae_jax.train.run import load_state

    return subject_of(run, load_state(run))
