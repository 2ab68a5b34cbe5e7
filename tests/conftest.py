import atexit
import functools
import gc
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

# Most of the suite's time is compilation of programs that run once: LLVM's cheap passes are enough for them, and the
# older emitter of fused loops, which compiles in half the time. Where that is gone XLA ends the process at its name.
if "XLA_FLAGS" not in os.environ:
    _older = tuple(map(int, version("jaxlib").split(".")[:2])) < (0, 11)
    _quickly = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    os.environ["XLA_FLAGS"] = _quickly + (" --xla_cpu_use_fusion_emitters=false" if _older else "")

# Nobody reads where each operation of these programs comes from, and to note it takes time.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")

# And many tests train the same small models: what one worker or subprocess compiled serves the others.
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.mkdtemp(prefix="vae_jax_tests_")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.03"
    atexit.register(shutil.rmtree, _cache, ignore_errors=True)

# Nor do tests write into the user's folder of parsed strings.
if "VAE_JAX_CACHE" not in os.environ:
    _parsed = tempfile.mkdtemp(prefix="vae_jax_strings_")
    os.environ["VAE_JAX_CACHE"] = _parsed
    atexit.register(shutil.rmtree, _parsed, ignore_errors=True)

import jax
import matplotlib
import pytest
from jax._src.interpreters import mlir

matplotlib.use("Agg")
# A program that is traced is thousands of small objects, none of them garbage: Python looks for some less often.
gc.set_threshold(200_000, 20, 100)
# JAX makes a new context of MLIR for each of the suite's thousands of programs, which takes longer than many of them
# run. One serves a hundred, and not more, since it keeps their constants. The function is not public: where it is gone
# the tests are only slower.
if hasattr(mlir, "make_ir_context"):
    _make, _programs = mlir.make_ir_context, itertools.count()
    _kept = functools.lru_cache(maxsize=1)(lambda hundred: _make())
    mlir.make_ir_context = lambda: _kept(next(_programs) // 100)
# A product that broadcasts ranks by accident is a batch handled by accident.
jax.config.update("jax_numpy_rank_promotion", "raise")

_SHARED = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """`shared_data("tfds/mnist")`: the path of real data; a test that wants what is not there is skipped."""
    folder = Path(os.environ.get("VAE_JAX_TEST_DATA", _SHARED))

    def path(name: str) -> Path:
        if not (folder / name).exists():
            pytest.skip(f"no {name}; set VAE_JAX_TEST_DATA to a folder of real datasets that holds it")
        return folder / name

    return path


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory):
    """A run of a small VAE of the digits and its state, trained once for all tests that measure or export one."""
    from tests.runs import trained

    return trained(tmp_path_factory.mktemp("digits") / "run")


@pytest.fixture(scope="session")
def strings_run(tmp_path_factory: pytest.TempPathFactory):
    """The same of equations."""
    from tests.runs import equations, trained

    return trained(tmp_path_factory.mktemp("equations") / "run", equations())


@pytest.fixture
def refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """`refusal("train", "digts")`: the one line that a command with a mistake gets, which leaves nothing behind."""
    from vae_jax.cli import main

    def line(*arguments: str) -> str:
        monkeypatch.chdir(tmp_path)
        assert main(arguments) != 0
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        assert not list(tmp_path.iterdir())
        return error

    return line
