"""What the package asks of a system is asked of every system: Windows and macOS too."""

import ast
import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "vae_jax"
# Names of `os` and `signal` that Python has on Unix alone, or on Windows only since 3.12.
OF_UNIX = {
    *("sysconf", "sysconf_names", "set_blocking", "get_blocking", "fork", "forkpty", "getuid", "geteuid", "getgid"),
    *("getpgid", "setsid", "killpg", "nice", "wait", "waitid", "mkfifo", "chown", "chroot", "uname", "getloadavg"),
    *("sched_getaffinity", "sched_setaffinity", "posix_fallocate", "statvfs", "fchmod", "pread", "pwrite", "sync"),
    *("SIGKILL", "SIGHUP", "SIGPIPE", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "alarm", "setitimer", "pause"),
}
MODULES_OF_UNIX = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "readline", "crypt", "curses"}
FILES = [pytest.param(file, id=file.relative_to(PACKAGE).as_posix()) for file in sorted(PACKAGE.rglob("*.py"))]


def asked(tree: ast.AST) -> set[str]:
    """Names that `hasattr(os, "…")` asks for."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and ast.unparse(node.func) == "hasattr")
    return {str(ast.literal_eval(call.args[1])) for call in calls if isinstance(call.args[1], ast.Constant)}


@pytest.mark.parametrize("file", FILES)
def test_what_only_unix_has_is_asked_for_first(file: Path) -> None:
    source = file.read_text(encoding="utf-8")
    tree = ast.parse(source)
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in ("os", "signal") and node.attr in OF_UNIX
    }
    # Both names of sysconf come together.
    assert used - asked(tree) - ({"sysconf_names"} if "sysconf" in asked(tree) else set()) == set()
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    imported |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & MODULES_OF_UNIX
    # What is written into files has the same sign between folders everywhere, and is in one order.
    assert not re.search(r"str\([^()]*relative_to", source)
    assert not re.search(r"sorted\(\w+\.iterdir\(\)\)", source)
