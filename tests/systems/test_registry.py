"""A new published model is one file: here it comes from a folder of the user, and the package is not touched."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from vae_jax.cli import main
from vae_jax.config import Data, Experiment
from vae_jax.core.errors import ConfigError
from vae_jax.systems.registry import spec_of, system_names
from vae_jax.systems.system import Spec

# A VAE whose prior has heavy tails.
SYSTEM = '''
"""A VAE whose prior is a Student's t."""

import jax.numpy as jnp
from beside import DEGREES

import vae_jax as vj
from vae_jax.nets.layers import layered_init, layered_vae
from vae_jax.systems.parts.networks import networks
from vae_jax.systems.parts.objective import staged_objective
from vae_jax.systems.parts.requirements import one_layer
from vae_jax.systems.system import Spec, System


def build(config, dataset):
    layers, _ = networks(config.model, dataset)
    size = config.model.latent_size
    prior = vj.StudentT(jnp.full(size, DEGREES), jnp.zeros(size), jnp.ones(size))
    vae = layered_vae(layers)._replace(prior=lambda params: prior)
    return System(init=layered_init(layers), loss=staged_objective(vae, config, dataset), vae=vae)


SPEC = Spec(build, reads=("objective",), requires=(one_layer,))
'''
CONFIG = """
from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, Train


def get_config():
    return Experiment(
        "heavy tails",
        Data("digits"),
        Model(hidden=(16,), latent_size=3),
        Objective(estimator="sampled"),
        train=Train(epochs=2),
        evaluate=Evaluate(evaluation_samples=10, measurements=("my_measurement.py",)),
        system="my_system.py",
    )
"""
MEASUREMENT = """
import jax.numpy as jnp

from vae_jax.measure.measurement import Measurement


def largest_code(subject, options, found):
    assert "log_marginal" in found
    z = subject.density.encode(subject.params, subject.examples[0]).mean
    return {"largest_code": float(jnp.max(z))}


MEASUREMENT = Measurement(
    "largest code",
    lambda subject: subject.has_real_mean,
    largest_code,
    rows=(("my own", (("largest", "{largest_code:.3f}", "of the first test example"),)),),
    summary=(("largest code", "{largest_code:.3f}"),),
    scores=(("largest", "largest_code", ".3f"),),
)
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the user's own, away from the current one."""
    folder = tmp_path / "my project"
    folder.mkdir()
    for name, text in (("my_system", SYSTEM), ("my_config", CONFIG), ("my_measurement", MEASUREMENT)):
        (folder / f"{name}.py").write_text(text)
    (folder / "beside.py").write_text("DEGREES = 4.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    return folder


def test_a_system_of_ones_own_goes_through_every_command(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config, run = str(project / "my_config.py"), project / "run"
    assert main(["train", config, "--quick", "--out", str(run)]) == 0
    assert "largest code" in capsys.readouterr().out
    saved = json.loads((run / "config.json").read_text())
    assert saved["system"] == str(project / "my_system.py")
    assert main(["resume", str(run)]) == 0
    assert main(["evaluate", str(run), "--gaps", "0"]) == 0
    assert "of the first test example" in capsys.readouterr().out
    result = json.loads((run / "evaluation.json").read_text())
    assert np.isfinite([result["log_marginal"], result["largest_code"]]).all()
    assert main(["sample", str(run), "--count", "5"]) == 0
    # The prior's own tails: a normal has one draw in 10,000 beyond 4.
    assert np.load(run / "samples.npz")["z"].shape == (5, 3)
    sweep = project / "sweep"
    asked = ["sweep", config, "--quick", "--over", "beta=1,2", "--seeds", "1", "--out", str(sweep)]
    assert main(asked) == 0
    assert "largest " in capsys.readouterr().out
    first, _ = json.loads((sweep / "evaluation.json").read_text())["members"]
    assert main(["evaluate", str(sweep / "members" / first["member"]), "--gaps", "0"]) == 0
    alone = json.loads((sweep / "members" / first["member"] / "evaluation.json").read_text())
    for name in ("log_marginal", "rate", "largest_code"):
        assert first[name] == pytest.approx(alone[name], rel=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("import jax.numpy", "import no_such_module", "my_system.py, line 4: ModuleNotFoundError: No module named"),
        ("def build(config, dataset):", "def build(config, dataset)", "my_system.py, line 15: SyntaxError"),
        ("DEGREES = 4.0", "", "my_system.py, line 5: ImportError: cannot import name 'DEGREES'"),
        ("size = config.model.latent_size", "size = config.model.size", "my_system.py, line 17: AttributeError"),
        ("lambda params: prior", "lambda params: params['heavy']", "my_system.py, line 19: KeyError: 'heavy'"),
        ("SPEC = Spec(build", "SPECS = Spec(build", "my_system.py defines no SPEC"),
        ("SPEC = Spec(build", "SPEC = (build", "SyntaxError"),
        ("(one_layer,))", "(lambda config: 'not today',))", "vae-jax train: not today."),
        (
            'reads=("objective",)',
            "reads=()",
            "--estimator sampled has no effect with --system .*my_system.py: it is",
        ),
    ],
)
def test_an_error_inside_is_shown_as_what_it_is(
    old: str, new: str, message: str, project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (project / "my_system.py", project / "beside.py"):
        path.write_text(path.read_text().replace(old, new))
    assert main(["train", str(project / "my_config.py"), "--quick", "--out", str(project / "run")]) == 1
    error = capsys.readouterr().err
    assert re.search(message, error), error
    assert error.count("\n") == 1
    assert not (project / "run").exists()


def test_a_measurement_may_not_take_the_name_of_another(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = project / "my_measurement.py"
    path.write_text(path.read_text().replace('{"largest_code":', '{"rate":'))
    assert main(["train", str(project / "my_config.py"), "--quick", "--out", str(project / "run")]) == 1
    assert "gives rate, which is measured already: give its numbers names of their own" in capsys.readouterr().err


def test_a_measurement_that_cannot_be_read_costs_no_training(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (project / "my_measurement.py").write_text("MEASUREMENT = unknown\n")
    assert main(["train", str(project / "my_config.py"), "--quick", "--out", str(project / "run")]) == 1
    assert "my_measurement.py, line 1: NameError" in capsys.readouterr().err
    assert not (project / "run" / "metrics.jsonl").exists()


def test_an_unknown_system_gets_a_suggestion() -> None:
    with pytest.raises(ConfigError, match=r"no system 'fact'\. Did you mean factor.*There are adversarial, autoen"):
        spec_of("fact")
    with pytest.raises(ConfigError, match=r"there is no Python file nowhere\.py"):
        spec_of("nowhere.py")


@pytest.mark.parametrize("name", system_names())
def test_every_published_model_declares_what_there_is(name: str) -> None:
    spec = spec_of(name)
    assert isinstance(spec, Spec)
    config = Experiment("a test", Data("digits"))
    for field in spec.reads:
        section, _, leaf = field.partition(".")
        assert not leaf or hasattr(getattr(config, section), leaf), field
    for requirement in spec.requires:
        assert isinstance(requirement(config), (str, type(None)))
