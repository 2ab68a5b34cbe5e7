import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.runs import console
from vae_jax.train.interruption import Interruption

# A compiled program in which Python runs no handler for many seconds.
LONG = """
import jax, jax.numpy as jnp
from rich.console import Console
from vae_jax.train.interruption import Interruption
program = jax.jit(lambda n: jax.lax.fori_loop(0, n, lambda i, x: jnp.sin(x + i), 1.0))
jax.block_until_ready(program(10))
with Interruption(Console()) as interruption:
    print("started", flush=True)
    jax.block_until_ready(program(2_000_000_000))
"""


@pytest.mark.parametrize(("first", "second"), [(signal.SIGTERM, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)])
def test_a_second_signal_stops_at_once_within_a_compiled_program(first, second) -> None:
    process = subprocess.Popen([sys.executable, "-c", LONG], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "started\n"
    process.send_signal(first)
    assert process.stdout.readline() == "stopping, and saving before; another signal stops at once\n"
    process.send_signal(second)
    process.communicate(timeout=5)
    assert process.returncode == 128 + second


@pytest.mark.parametrize("system", ["Unix", "Windows"])
def test_the_first_signal_is_kept_and_all_is_put_back(system, monkeypatch) -> None:
    if system == "Windows":
        # A pipe that blocks is what Python takes there, and only there.
        nonblocking = os.pipe()
        os.set_blocking(nonblocking[1], False)
        monkeypatch.setattr(os, "pipe", lambda: nonblocking)
        monkeypatch.delattr(os, "set_blocking")
    before = signal.getsignal(signal.SIGTERM)
    threads = threading.active_count()
    with Interruption(console()) as interruption:
        assert interruption.signal is None
        signal.raise_signal(signal.SIGTERM)
        assert interruption.signal == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1
    assert threading.active_count() <= threads + 1


def test_handlers_that_are_not_pythons_leave_the_systems_own(monkeypatch) -> None:
    before, setting = signal.getsignal(signal.SIGTERM), signal.signal
    monkeypatch.setattr(signal, "signal", lambda number, handler: setting(number, handler) and None)
    with Interruption(console()):
        pass
    monkeypatch.undo()
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    signal.signal(signal.SIGTERM, before)
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.skipif(sys.platform == "win32", reason="it has no such signals")
def test_signals_of_another_library_are_passed_on() -> None:
    heard = []

    async def service() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, lambda: heard.append("its own"))
        with Interruption(console()):
            signal.raise_signal(signal.SIGUSR1)
            await asyncio.sleep(0.3)

    asyncio.run(service())
    assert heard == ["its own"]


def test_in_the_process_of_another_a_second_signal_ends_nothing() -> None:
    with Interruption(console(), ends=False) as interruption:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        time.sleep(0.3)
    assert interruption.signal == signal.SIGTERM


def test_elsewhere_than_in_the_main_thread_it_does_nothing() -> None:
    seen = []

    def work() -> None:
        with Interruption(console()) as interruption:
            seen.append(interruption.signal)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [None]
