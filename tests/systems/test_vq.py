"""VQ-VAE, on one grid and on two."""

import dataclasses
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import vae_jax as vj
from tests.runs import changed, console, measured, trained
from vae_jax.cli import main
from vae_jax.config import Data, Evaluate, Experiment, Model, Quantisation, Stages, Train
from vae_jax.core.errors import ConfigError, RequestError
from vae_jax.data import load
from vae_jax.measure.codes import CODE_USE, PROBE, RECONSTRUCTION
from vae_jax.measure.likelihood import CERTAIN_LIKELIHOOD
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.run import write_pictures
from vae_jax.systems import vq
from vae_jax.systems.registry import validate
from vae_jax.train.loop import RunState
from vae_jax.train.run import Run, create

DIGITS = load("digits", binarisation="dynamic")
CONFIG = Experiment(
    "a test",
    Data("digits", stand_in=True),
    Model(network="grid", hidden=(8,), latent_size=3, activation="relu"),
    quantisation=Quantisation(codebook_size=5, code_prior_layers=2, code_prior_width=4),
    stages=Stages(second_stage_at=0.5, second_stage_rate=1e-2),
    train=Train(epochs=2, batch_size=16),
    evaluate=Evaluate(evaluation_samples=1),
    system="vq",
)
TWO = changed(CONFIG, "quantisation", grids=2)
SCALARS = changed(CONFIG, "quantisation", codebook="finite_scalar", scalar_levels=(3, 2, 2))
GRADIENT = changed(CONFIG, "quantisation", codebook="gradient")
CONFIGS = {"one grid": CONFIG, "two grids": TWO, "scalars": SCALARS, "gradient": GRADIENT}
BATCH = DIGITS.prepare(jax.random.key(0), DIGITS.train.take(slice(16)).batch())


def built(config: Experiment) -> tuple[Any, Any]:
    system = vq.build(config, DIGITS)
    return system, jax.jit(system.init)(jax.random.key(1), BATCH)


def start_of_second(config: Experiment) -> int:
    return len(DIGITS.train.x) // config.train.batch_size


# The others differ in how codes are made, which `test_quantisers` looks at; they run with `pytest -m slow`.
EACH = ("one grid", *(pytest.param(name, marks=pytest.mark.slow) for name in CONFIGS if name != "one grid"))


@pytest.mark.parametrize("name", EACH)
def test_the_bound_is_the_price_of_the_code_and_of_x_given_it(name: str) -> None:
    system, params = built(CONFIGS[name])
    assert system.prior_from == start_of_second(CONFIG)
    x = BATCH["x"][0]
    posterior = jax.jit(system.vae.encode)(params, x)
    assert isinstance(posterior, vj.Certain)
    z = posterior.value
    parts = jax.jit(lambda p, z: (system.vae.prior(p).log_prob(z), system.vae.decode(p, z).log_prob(x)))
    expected = sum(parts(params, z))
    for k in (1, 3):
        weights = jax.jit(functools.partial(vj.log_weights, system.vae, num_samples=k))(params, jax.random.key(2), x)
        np.testing.assert_allclose(weights, np.full(k, expected), rtol=1e-5)
    sides = jax.tree.map(jnp.shape, z)
    assert sides == (((4, 4), (2, 2)) if name == "two grids" else (4, 4))


@pytest.mark.parametrize("name", EACH)
def test_both_stages_say_minus_the_bound_and_the_commitment(name: str) -> None:
    """Before it is fitted the prior is uniform, so that the two losses are the same number."""
    config = CONFIGS[name]
    system, params = built(config)
    loss = jax.jit(system.loss)
    found = [loss(params, jax.random.key(3), BATCH, step) for step in (0, start_of_second(config) + 1)]
    np.testing.assert_allclose(found[0][0], found[1][0], rtol=1e-4)
    for metric, value in found[0][1].items():
        np.testing.assert_allclose(value, found[1][1][metric], rtol=1e-4, atol=1e-4)
    one = jax.jit(functools.partial(vj.log_weights, system.vae, num_samples=1))
    each = [one(params, jax.random.key(2), x)[0] for x in BATCH["x"]]
    np.testing.assert_allclose(found[0][1]["bound"], np.mean(each), rtol=1e-5)
    metrics = found[0][1]
    expected = -metrics["bound"] + config.quantisation.commitment * metrics["commitment"]
    np.testing.assert_allclose(found[0][0], expected, rtol=1e-5)
    assert ("perplexity2" in metrics) == (name == "two grids")


@pytest.mark.parametrize("name", ["one grid", pytest.param("gradient", marks=pytest.mark.slow)])
def test_each_stage_moves_its_own_parameters_alone(name: str) -> None:
    config = CONFIGS[name]
    system, params = built(config)
    tx = system.optimizer(optax.adam(1e-3))

    @jax.jit
    def step(params: Any, state: Any, number: Any) -> Any:
        slope = jax.grad(lambda p: system.loss(p, jax.random.fold_in(jax.random.key(4), number), BATCH, number)[0])
        updates, state = tx.update(slope(params), state, params)
        return optax.apply_updates(params, updates), state

    state, seen = tx.init(params), [params]
    start = start_of_second(config)
    for number in range(start + 3):
        params, state = step(params, state, jnp.int32(number))
        if number in (start - 1, start + 2):
            seen.append(params)
    for before, after, moving in ((*seen[:2], lambda top: top != "prior"), (*seen[1:], lambda top: top == "prior")):
        for top, part in after.items():
            same = [np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (before[top], part)), strict=True)]
            assert not all(same) if moving(top) else all(same), top


def test_the_gradient_of_the_first_stage_passes_straight_through() -> None:
    """The encoder is moved as if its vectors were decoded unrounded, but where the codes are."""
    config = changed(CONFIG, "quantisation", commitment=0.0)
    system, params = built(config)
    slope = jax.jit(jax.grad(lambda p: system.loss(p, jax.random.key(3), BATCH, 0)[0]))(params)
    assert jnp.abs(slope["to_vectors"]["kernel"]).max() > 1e-3
    assert all(not leaf.any() for leaf in jax.tree.leaves(slope["prior"]))
    held = changed(config, "quantisation", commitment=10.0)
    pulled = jax.jit(jax.grad(lambda p: vq.build(held, DIGITS).loss(p, jax.random.key(3), BATCH, 0)[0]))(params)
    assert jnp.abs(pulled["to_vectors"]["kernel"] - slope["to_vectors"]["kernel"]).max() > 1e-2


# The losses of the others are tested above, and their codes in `test_quantisers`.
TRAINED = ("one grid", *(pytest.param(name, marks=pytest.mark.slow) for name in ("two grids", "scalars")))


@pytest.fixture(scope="module")
def run_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Run, RunState]]:
    """Trains what is asked for, once."""
    folder = tmp_path_factory.mktemp("vq")
    return functools.cache(lambda name: trained(folder / name, changed(CONFIGS[name], "train", epochs=6)))


@pytest.mark.parametrize("name", TRAINED)
def test_a_run_is_measured_and_drawn(run_of: Callable[[str], tuple[Run, RunState]], name: str) -> None:
    run, state = run_of(name)
    assert int(state.best_epoch) > 3
    result = measured(run, state, CERTAIN_LIKELIHOOD, CODE_USE, RECONSTRUCTION)
    assert result["monte_carlo_error"] == 0.0
    np.testing.assert_allclose(result["log_marginal"], result["elbo"], rtol=1e-6)
    np.testing.assert_allclose(result["elbo"], -result["rate"] - result["distortion"], rtol=1e-5)
    assert result["bits_per_dimension"] > 0.0
    # A prior that was fitted: less than a uniform code costs.
    assert result["rate"] < (16 * np.log(12.0) if name == "scalars" else 20 * np.log(5.0)) - 1.0
    assert len(result["codes_used"]) == (2 if name == "two grids" else 1)
    for used, even in zip(result["codes_used"], result["code_perplexity"], strict=True):
        assert 2 <= used <= result["codebook_size"]
        assert 1.0 < even <= used + 1e-3
    subject = subject_of(run, state)
    assert not PROBE.answers(subject)
    assert 0.0 < result["reconstruction_error"] < 0.25
    names = {path.stem for path in write_pictures(subject)}
    assert {"codes", "samples", "reconstructions"} <= names
    assert subject.has_fitted_prior


@pytest.mark.slow
def test_commands_take_such_a_run(run_of: Callable[[str], tuple[Run, RunState]]) -> None:
    folder = run_of("two grids")[0].directory
    assert main(["evaluate", str(folder), "--gaps", "0"]) == 0
    assert json.loads((folder / "evaluation.json").read_text())["codes_used"]
    assert main(["sample", str(folder), "--count", "12"]) == 0
    arrays = np.load(folder / "samples.npz")
    assert (arrays["z1"].shape, arrays["z2"].shape) == ((12, 4, 4), (12, 2, 2))
    assert main(["encode", str(folder), "digits"]) == 0
    assert np.load(folder / "codes.npz")["mean1"].dtype.kind == "i"


@pytest.mark.slow
def test_a_run_of_the_first_stage_says_so_when_it_is_sampled(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vae_jax.train.loop import train

    run = create(changed(CONFIG, "stages", second_stage_at=0.9), tmp_path / "run")
    train(dataclasses.replace(run, config=changed(run.config, "train", epochs=1)), console())
    assert main(["sample", str(tmp_path / "run")]) != 0
    assert "has not been fitted yet" in capsys.readouterr().err


def test_nothing_is_sampled_before_the_prior_is_fitted(tmp_path: Path) -> None:
    run = create(changed(CONFIG, "stages", second_stage_at=0.9), tmp_path / "run")
    state = run.initial()
    subject = subject_of(run, state)
    assert not subject.has_fitted_prior
    with pytest.raises(RequestError, match=r"has not been fitted yet.*begins at step \d+ of \d+.*vae-jax resume"):
        subject.check_fitted_prior()
    system, params = built(CONFIG)
    del params["prior"]
    with pytest.raises(ValueError, match=r"prior over codes has not been fitted.*--second-stage-at 0.5"):
        system.vae.prior(params)


@pytest.mark.parametrize(
    ("section", "fields", "message"),
    [
        ("quantisation", {"codebook_size": 1}, "--codebook-size must be at least 2, got 1"),
        ("quantisation", {"grids": 0}, "--grids must be greater than 0"),
        ("quantisation", {"scalar_levels": (5, 1)}, "--scalar-levels must be at least 2, got 1"),
        ("quantisation", {"codebook_decay": 1.0}, "--codebook-decay must be at least 0 and below 1"),
        ("quantisation", {"least_use": -0.1}, "--least-use must be at least 0 and below 1"),
        ("quantisation", {"commitment": -1.0}, "--commitment must be at least 0"),
        ("stages", {"second_stage_at": 1.0}, "--second-stage-at must be above 0 and below 1, got 1.0"),
        ("model", {"hidden": ()}, "--hidden needs at least one layer for --network grid"),
        ("model", {"network": "mlp"}, "use --network grid"),
        ("model", {"prior": "mixture"}, "--prior has no effect with --system vq"),
        ("objective", {"beta": 2.0}, "--beta 2.0 has no effect with --system vq"),
    ],
)
def test_bad_numbers_are_refused(section: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        validate(changed(CONFIG, section, **fields))


@pytest.mark.parametrize(
    ("section", "fields", "message"),
    [
        ("quantisation", {"grids": 4}, r"--grids 4 .* multiples of 16; digits has examples of shape \(8, 8, 1\)"),
        ("quantisation", {"codebook": "finite_scalar", "scalar_levels": (3, 3)}, "--latent-size 3 needs as many"),
        ("stages", {"second_stage_at": None}, "trained in two stages.*--second-stage-at 0.5"),
    ],
)
def test_what_does_not_fit_is_refused(section: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        vq.build(changed(CONFIG, section, **fields), DIGITS)


def test_other_systems_have_no_codebook() -> None:
    plain = dataclasses.replace(CONFIG, system="vae", quantisation=Quantisation(), stages=Stages())
    with pytest.raises(ConfigError, match="--codebook-size 7 has no effect with --system vae: it is for --system vq"):
        validate(changed(plain, "quantisation", codebook_size=7))
    with pytest.raises(ConfigError, match="--second-stage-at 0.5 has no effect with --system vae"):
        validate(changed(plain, "stages", second_stage_at=0.5))
    with pytest.raises(ConfigError, match="--network grid has a vector at each place.*--posterior full"):
        validate(changed(plain, "model", posterior="full"))
