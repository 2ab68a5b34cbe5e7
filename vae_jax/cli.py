"""The command line: `vae-jax train digits` and what can be done with the run that it leaves."""

import io
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import absl.logging
from rich.console import Console

from vae_jax import __version__
from vae_jax.commands.completion import completion_command
from vae_jax.commands.debug import debug_command
from vae_jax.commands.draw import encode_command, sample_command
from vae_jax.commands.evaluate import compare_command, evaluate_command, nll_command, score_command
from vae_jax.commands.explore import explore_command
from vae_jax.commands.export import export_command
from vae_jax.commands.manual import manual_command
from vae_jax.commands.rows import anomaly_command, impute_command
from vae_jax.commands.search import search_command
from vae_jax.commands.train import resume_command, sweep_command, train_command
from vae_jax.config import files
from vae_jax.core.errors import BROKEN_PIPE, ENDED_BY, RequestError, TerminatedError
from vae_jax.core.modules import users_line
from vae_jax.core.programs import keep_programs

# What the package raises with a message that says what to do.
_MENDABLE = (ValueError, TypeError, OSError, ImportError, RuntimeError, OverflowError)

_USAGE = """usage: vae-jax COMMAND …

  train CONFIG [--field value …]   train a model; --quick tries any config in seconds, --out names the run
  resume RUN                       continue an interrupted run, bit for bit
  evaluate RUN                     measure log p(x) and more on the test split
  sweep CONFIG --over FIELD=1,2    many runs in one program: a grid of numbers and seeds
  compare RUN…                     runs side by side, with error bars over their seeds
  sample RUN                       draw from the model: a picture and an array
  encode RUN DATA                  codes of a dataset or of your own file
  explore RUN                      every picture that suits the model, and a page to look at and to hand on
  export RUN                       the model as programs that jax runs alone, or ONNX
  impute RUN DATA                  a table with its gaps filled
  anomaly RUN DATA                 which examples are strange
  score CODES [FACTORS]            codes of any library against known factors
  nll LOG_WEIGHTS                  log p(x) from log-weights of any library, and whether k was enough
  search RUN                       the best string that a model of strings can write, by Bayesian optimisation
  debug RUN                        the step that stopped a run, number by number
  configs                          the configs, one a line
  completion                       a script by which bash completes commands and flags: eval "$(vae-jax completion)"
  manual                           the help of every command as one page of Markdown
  --version

vae-jax COMMAND --help lists the options of a command."""


class _Console(Console):
    """A console that tells where nobody reads any more, as `print` does; its base ends the process."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status. Errors that a user can mend are one line on standard error."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    commands: dict[str, Callable[[list[str], Console], int]] = {
        "train": train_command,
        "resume": resume_command,
        "evaluate": evaluate_command,
        "sweep": sweep_command,
        "compare": compare_command,
        "sample": sample_command,
        "encode": encode_command,
        "explore": explore_command,
        "export": export_command,
        "impute": impute_command,
        "anomaly": anomaly_command,
        "score": score_command,
        "nll": nll_command,
        "search": search_command,
        "debug": debug_command,
        "configs": _configs,
    }
    commands["completion"] = lambda arguments, console: completion_command(list(commands), arguments)
    commands["manual"] = lambda arguments, console: manual_command(commands, arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_USAGE)
        return 0 if arguments else 2
    if arguments[0] == "--version":
        print(f"vae-jax {__version__}")
        return 0
    if arguments[0] not in commands:
        print(f"vae-jax: no command {arguments[0]!r}; there are {', '.join(commands)}.", file=sys.stderr)
        return 2
    # A warning is one line, as an error is.
    warnings.formatwarning = lambda message, *rest: f"vae-jax {arguments[0]}: {message}\n"
    # Orbax and TFDS log their own affairs; what goes wrong they raise too, and that is told in one line.
    absl.logging.set_verbosity(absl.logging.FATAL)
    try:
        with _terminable():
            return commands[arguments[0]](arguments[1:], _Console(markup=False, highlight=False))
    except KeyboardInterrupt as interrupt:
        print(
            f"\nvae-jax {arguments[0]}: interrupted; what was written stays. A run that has begun goes on with "
            "vae-jax resume RUN; give any other command again.",
            file=sys.stderr,
        )
        return ENDED_BY + (signal.SIGTERM if isinstance(interrupt, TerminatedError) else signal.SIGINT)
    except BrokenPipeError:
        raise
    except Exception as error:
        # An error inside the user's own file is shown with its line; of another only what a user can mend.
        own = users_line(error)
        if isinstance(error, AssertionError) and _is_of_devices(error):
            named = os.environ.get("JAX_PLATFORMS")
            error = RuntimeError(f"JAX finds no device of JAX_PLATFORMS={named}: unset it, or install what it names.")
        if own is None and not isinstance(error, _MENDABLE):
            raise
        message = error if own is None else f"{own}: {type(error).__name__}: {error}"
        print(f"vae-jax {arguments[0]}: {message}", file=sys.stderr)
        return 1


def _is_of_devices(error: AssertionError) -> bool:
    """Whether JAX found none of the devices that were named, which it only asserts."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return "JAX_PLATFORMS" in os.environ and frames[-1].f_code.co_filename.endswith("xla_bridge.py")


def _unraisable(unraisable: Any) -> None:
    if "Event loop is closed" not in str(unraisable.exc_value):
        sys.__unraisablehook__(unraisable)


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a command as SIGINT does. Elsewhere than in the main thread Python allows no handler."""

    def terminate(number: int, frame: Any) -> None:
        raise TerminatedError

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _configs(arguments: list[str], console: Console) -> int:
    if arguments in (["-h"], ["--help"]):
        print("usage: vae-jax configs\n\nThe configs, one a line. The options of one: vae-jax train NAME --help")
        return 0
    if arguments:
        raise RequestError(
            f"configs takes no arguments, got {' '.join(arguments)}. For one of them: vae-jax train NAME --help"
        )
    names = files.config_names()
    width = max(map(len, names))
    for name in names:
        print(f"{name:{width}}  {files.load_config(name).description}")
    return 0


def run() -> None:
    """The program `vae-jax`: `main`, and its status as the status of the process."""
    # After a failed save Orbax leaves coroutines and futures behind, of which Python tells when it removes them.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", message="coroutine .* was never awaited")
    sys.unraisablehook = _unraisable
    keep_programs()
    for stream in (sys.stdout, sys.stderr):
        # A character that an encoding lacks, as Greek letters of Windows, becomes a question mark.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    # A program without a window has neither stream.
    sys.stdout, sys.stderr = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()
    # Rich would print in no columns.
    if os.environ.get("COLUMNS") == "0":
        del os.environ["COLUMNS"]
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read the output has seen enough, as `head` does.
        sys.stdout = io.StringIO()
        status = ENDED_BY + BROKEN_PIPE
    if status > ENDED_BY:
        # Interrupted, XLA may still compute in threads of its own, and falls when Python takes itself apart.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    run()
