import os
from pathlib import Path

from vae_jax.core import memory
from vae_jax.core.memory import host_memory


def test_it_is_what_the_machine_has_or_what_its_group_may_use(tmp_path: Path, monkeypatch) -> None:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    own = tmp_path / "own"
    monkeypatch.setattr(memory, "_GROUPS", tmp_path)
    monkeypatch.setattr(memory, "_WHOLE", (tmp_path / "memory.max",))
    monkeypatch.setattr(memory, "_OWN", own)
    assert host_memory() == machine
    (tmp_path / "memory.max").write_text("max\n")
    assert host_memory() == machine
    for line, folder, name in (
        ("0::/job/step", "job/step", "memory.max"),
        ("4:memory:/job", "memory/job", "memory.limit_in_bytes"),
        ("4:cpu,memory:/other", "memory/other", "memory.limit_in_bytes"),
    ):
        own.write_text(f"9:name=systemd:/\n{line}\n")
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / name).write_text("1000000\n")
        assert host_memory() == 1_000_000


def test_a_system_that_does_not_say_gives_none(tmp_path: Path, monkeypatch) -> None:
    # As on Windows.
    monkeypatch.delattr(os, "sysconf")
    monkeypatch.delattr(os, "sysconf_names")
    monkeypatch.setattr(memory, "_WHOLE", ())
    monkeypatch.setattr(memory, "_OWN", tmp_path / "none")
    assert host_memory() is None


def test_it_is_asked_of_a_real_machine() -> None:
    found = host_memory()
    assert found is not None
    assert found > 2**28
