"""Run the tests of the mathematics in each mode of JAX that other programs ask for.

    python benchmarks/modes.py [--only rbg]

Prints for each mode how many tests pass, and the names of those that do not. The modes are set by JAX's own environment
variables. `jax_disable_jit` computes one operation after another, so there the tests that are quick without compilation
are tried; of these `test_a_traced_count_is_refused` fails, since nothing is traced.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
ROOMS = ("core", "distributions", "bijections", "models", "objectives", "evaluate")


class Mode(NamedTuple):
    """Variables that set it, and which tests are tried."""

    variables: dict[str, str]
    tests: tuple[str, ...] = tuple(f"tests/{room}" for room in ROOMS)


MODES = {
    "as it comes": Mode({}),
    "x64": Mode({"JAX_ENABLE_X64": "1"}),
    "debug_nans": Mode({"JAX_DEBUG_NANS": "1"}),
    "rbg": Mode({"JAX_DEFAULT_PRNG_IMPL": "rbg"}),
    "unsafe_rbg": Mode({"JAX_DEFAULT_PRNG_IMPL": "unsafe_rbg"}),
    "disable_jit": Mode(
        {"JAX_DISABLE_JIT": "1"},
        (
            "tests/core",
            "tests/models/test_latent.py",
            "tests/objectives/test_bounds.py",
            "tests/distributions/test_normal.py",
        ),
    ),
    "deterministic": Mode({"XLA_FLAGS": "--xla_cpu_enable_fast_math=false --xla_gpu_deterministic_ops=true"}),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=list(MODES))
    arguments = parser.parse_args()
    for name in [arguments.only] if arguments.only else MODES:
        mode = MODES[name]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *mode.tests]
        ended = subprocess.run(command, cwd=ROOT, env=os.environ | mode.variables, capture_output=True, text=True)
        print(f"{name}: {ended.stdout.splitlines()[-1]}", flush=True)
        for failed in re.findall(r"^(?:FAILED|ERROR) (\S+)", ended.stdout, re.MULTILINE):
            print(f"  {failed}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
