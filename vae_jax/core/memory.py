"""How much memory there is on this machine for this process."""

import math
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

# Control groups of version 2, and of version 1: the whole container's, where a process does not see its own.
_GROUPS = Path("/sys/fs/cgroup")
_WHOLE = (_GROUPS / "memory.max", _GROUPS / "memory" / "memory.limit_in_bytes")
_OWN = Path("/proc/self/cgroup")


def host_memory() -> int | None:
    """Bytes of memory that this process may use, or None where the system does not say."""
    asked = ("SC_PHYS_PAGES", "SC_PAGE_SIZE")
    found = []
    # Windows has no such function.
    if hasattr(os, "sysconf") and set(asked) <= set(os.sysconf_names):
        found.append(math.prod(map(os.sysconf, asked)))
    for path in (*_WHOLE, *_own_groups()):
        # There is no such file outside of Linux, and "max" stands in it where there is no limit.
        with suppress(OSError, ValueError):
            found.append(int(path.read_text(encoding="utf-8")))
    return min(found, default=None)


def _own_groups() -> Iterator[Path]:
    """The files with the limits of the groups that this process is in."""
    lines = []
    with suppress(OSError):
        lines = _OWN.read_text(encoding="utf-8").splitlines()
    for line in lines:
        _, controllers, group = line.split(":", 2)
        if not controllers:
            yield _GROUPS / group.lstrip("/") / "memory.max"
        elif "memory" in controllers.split(","):
            yield _GROUPS / "memory" / group.lstrip("/") / "memory.limit_in_bytes"
