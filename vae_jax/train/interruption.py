"""SIGINT and SIGTERM while a program runs: the first asks it to stop when it can, a second one stops at once."""

import os
import signal
import threading
from contextlib import suppress
from typing import Any

from rich.console import Console

from vae_jax.core.errors import ENDED_BY


class Interruption:
    """While active, `signal` is the number of the first SIGINT or SIGTERM that came.

    Python runs a handler between two of its own steps, and a compiled program is one step of up to `chunk_seconds`. So
    a thread reads the signals as they come: it answers the first, and at the second it ends the process, unless this is
    another's, who has more to lose (`ends`).
    """

    def __init__(self, console: Console, *, ends: bool = True) -> None:
        self.signal: int | None = None
        self._console, self._ends = console, ends
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interruption":
        # Elsewhere Python allows no handler: a notebook server may train in another thread.
        if threading.current_thread() is not threading.main_thread():
            return self
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._request)
        self._reader, self._writer = os.pipe()
        # Python asks for it, but on Windows, which before 3.12 has no such function.
        if hasattr(os, "set_blocking"):
            os.set_blocking(self._writer, False)
        self._wakeup = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        threading.Thread(target=self._watch, daemon=True).start()
        return self

    def _request(self, number: int, frame: Any) -> None:
        self.signal = self.signal or number

    def _watch(self) -> None:
        """Count the signals: each writes its number."""
        came = 0
        while numbers := os.read(self._reader, 64):
            for number in numbers:
                if number not in self._before:
                    # Of another library, as asyncio, that had asked for them before.
                    with suppress(OSError):
                        os.write(self._wakeup, bytes([number]))
                    continue
                came += 1
                if came > 1 and self._ends:
                    self._console.show_cursor()
                    # Nothing is cleaned up, as if the power had failed: every file is whole at any time.
                    os._exit(ENDED_BY + number)
                at_once = "; another signal stops at once" if self._ends else ""
                self._console.print(f"stopping, and saving before{at_once}")
        os.close(self._reader)

    def __exit__(self, *_: object) -> None:
        if not self._before:
            return
        for number, handler in self._before.items():
            # None: one that was not made in Python, which cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(self._wakeup)
        # The thread reads the end, and ends.
        os.close(self._writer)
