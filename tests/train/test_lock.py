import errno
import signal
import subprocess
import sys

import pytest

from tests.runs import experiment
from vae_jax.cli import main
from vae_jax.core.errors import ConfigError, RequestError
from vae_jax.train.lock import writing
from vae_jax.train.run import create, open_model

HOLD = """
import sys, time
from pathlib import Path
from vae_jax.train.lock import writing
with writing(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_and_told_by_whom_until_the_first_is_gone(tmp_path, capsys) -> None:
    run = create(experiment(), tmp_path / "run")
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run.directory)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(RequestError, match=rf"is being written by process {process.pid} on .* since .*vae-jax resume"):
        writing(run.directory).__enter__()
    assert main(["resume", str(run.directory)]) == 1
    assert f"is being written by process {process.pid}" in capsys.readouterr().err
    # Who only reads is not kept out.
    assert open_model(run.directory).config == run.config
    process.send_signal(signal.SIGKILL)
    process.communicate()
    # The system releases the lock of a process that was killed.
    with writing(run.directory):
        pass


@pytest.mark.parametrize(
    "error",
    [NotImplementedError(), *(OSError(number, "") for number in (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP))],
)
def test_a_file_system_without_locks_is_told_of_and_written(error, tmp_path, monkeypatch) -> None:
    def fails(*_, **__):
        raise error

    monkeypatch.setattr("vae_jax.train.lock.FileLock.acquire", fails)
    with pytest.warns(UserWarning, match="has no locks: see to it that no other process"), writing(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()


def test_another_error_of_a_lock_is_one(tmp_path, monkeypatch) -> None:
    def fails(*_, **__):
        raise OSError(errno.EACCES, "not yours")

    monkeypatch.setattr("vae_jax.train.lock.FileLock.acquire", fails)
    with pytest.raises(OSError, match="not yours"):
        writing(tmp_path / "run").__enter__()


def test_one_of_two_new_runs_gets_a_directory(tmp_path) -> None:
    with writing(tmp_path / "run"), pytest.raises(RequestError, match="is being written by process"):
        create(experiment(), tmp_path / "run")
    # What a lock leaves is no run.
    create(experiment(), tmp_path / "run")
    with pytest.raises(ConfigError, match="already holds a run"):
        create(experiment(), tmp_path / "run")
