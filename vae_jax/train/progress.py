"""What a person sees while something runs: a live line on a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

# Least time between plain lines, so that a log of 300 short epochs stays readable; and the most without one.
_PLAIN_SECONDS, _SILENT_SECONDS = 2.0, 30.0
# Columns of a terminal that has no room for everything.
_NARROW = 120


class Display:
    """The display of a training run, a context manager; call `update` after every chunk."""

    def __init__(self, console: Console, *, start: int, steps: int, per_epoch: int, batch_size: int) -> None:
        self._console = console
        self._steps = steps
        self._per_epoch = per_epoch
        self._batch_size = batch_size
        self._start = start
        self._began = time.monotonic()
        self._printed = 0.0
        self._compiled: tuple[int, float] | None = None
        self._validated = False
        self._live: Progress | None = None
        if console.is_terminal:
            self._live = Progress(
                TextColumn("epoch {task.fields[epoch]}"),
                # On a narrow terminal the numbers are cut first, not the bar or the time.
                BarColumn(bar_width=None if console.width > _NARROW else 10),
                TimeRemainingColumn(),
                TextColumn("{task.fields[status]}"),
                console=console,
                expand=console.width > _NARROW,
            )
            self._task = self._live.add_task("train", total=steps, completed=start, epoch="", status="compiling")

    def __enter__(self) -> "Display":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._live is not None:
            self._live.stop()

    def update(
        self, step: int, *, metrics: dict[str, float], learning_rate: float | None, validation: dict[str, float]
    ) -> float:
        """Show the bound after `step`, or the loss where there is no bound. Returns the examples per second so far."""
        elapsed = time.monotonic() - self._began
        if step > self._start and (self._compiled is None or (validation and not self._validated)):
            # The first chunk and the first validation compile, and say nothing of the pace.
            self._compiled, self._validated = (step, elapsed), bool(validation)
        first, before = self._compiled or (self._start, 0.0)
        steps, seconds = (step - first, elapsed - before) if step > first else (step - self._start, elapsed)
        # Some clocks stand still for 16 ms.
        rate = steps * self._batch_size / max(seconds, 1e-9)
        epoch = f"{-(-step // self._per_epoch)}/{self._steps // self._per_epoch}"
        name = "bound" if "bound" in metrics else "loss"
        status = f"{name} {metrics[name]:.3f}  "
        if validation:
            status += f"(validation {validation[name]:.3f})  "
        status += f"lr {learning_rate:.1e}  " if learning_rate is not None else ""
        status += f"{metrics['left_out']:.0%} of the steps left out  " if metrics.get("left_out") else ""
        # Until then it is mostly compilation, and says nothing of the rest.
        is_known = step > first or step == self._steps
        status += f"{rate:,.0f} examples/s" if is_known else ""
        if self._live is not None:
            self._live.update(self._task, completed=step, epoch=epoch, status=status)
        elif self._is_time(step, elapsed - self._printed):
            self._printed = elapsed
            left = (self._steps - step) * seconds / max(steps, 1)
            within = step % self._per_epoch / self._per_epoch
            epoch += f" at {within:.0%}" if within else ""
            ending = f"  {left:.0f} s left" if is_known else ""
            self._console.print(f"epoch {epoch}  {status}{ending}".rstrip(), highlight=False, soft_wrap=True)
        return rate

    def _is_time(self, step: int, silent: float) -> bool:
        """Whether a plain line is due: at the end of an epoch, or within one that takes long."""
        ended = step % self._per_epoch == 0 and silent >= _PLAIN_SECONDS
        return ended or silent >= _SILENT_SECONDS or step == self._steps


def waiting(console: Console | None, name: str) -> AbstractContextManager[object]:
    """A spinner on a terminal, for work whose parts cannot be counted."""
    return nullcontext() if console is None else console.status(name)


@contextmanager
def bar(console: Console | None, name: str, size: int) -> Iterator[Callable[[int], None]]:
    """A bar, or plain lines, for work of `size` parts. It yields a function of the number of parts that are done."""
    if console is not None and not console.is_terminal:
        yield _plain_bar(console, name, size)
        return
    with Progress(console=console, disable=console is None, transient=True) as progress:
        task = progress.add_task(name, total=size)
        yield lambda completed: progress.update(task, completed=completed)


def _plain_bar(console: Console, name: str, size: int) -> Callable[[int], None]:
    began = printed = time.monotonic()

    def show(completed: int) -> None:
        nonlocal printed
        now = time.monotonic()
        if now - printed >= _SILENT_SECONDS / 3:
            printed = now
            left = (size - completed) * (now - began) / max(completed, 1)
            console.print(f"{name}: {completed} of {size}, {left:.0f} s left", highlight=False, soft_wrap=True)

    return show
