import io
import math
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import optax
import pytest
import scipy.stats
from rich.console import Console

import vae_jax as vj
from tests.runs import changed, experiment
from vae_jax.config import quick
from vae_jax.config.files import load_config
from vae_jax.measure.constant import CONSTANT
from vae_jax.measure.measurement import Options
from vae_jax.measure.subject import subject_of
from vae_jax.train.run import create


def measured(config, folder, found: float):
    run = create(config, folder)
    subject = subject_of(run, run.initial())
    assert CONSTANT.answers(subject)
    return run, CONSTANT.measure(subject, Options(), {"log_marginal": found})


def test_a_constant_has_the_density_of_one_normal_for_each_element(tmp_path) -> None:
    run, result = measured(experiment("curve"), tmp_path / "run", 0.0)
    train, test = run.dataset.train.x.astype(float), run.dataset.test.x.astype(float)
    expected = scipy.stats.norm.logpdf(test, train.mean(0), train.std(0)).sum(axis=1).mean()
    assert math.isclose(result["constant_log_prob"], expected, rel_tol=1e-6)
    assert "worse_than_constant" not in result
    _, result = measured(experiment("curve"), tmp_path / "other", expected - 1.0)
    assert "one marginal for each element has" in result["worse_than_constant"]


def test_bits_have_one_of_bernoulli_variables(tmp_path) -> None:
    run, result = measured(experiment("digits"), tmp_path / "run", 0.0)
    x = np.asarray(subject_of(run, run.initial()).examples)
    p = (run.dataset.train.x.sum(0) / 16 + 0.5) / (len(run.dataset.train.x) + 1)
    expected = scipy.stats.bernoulli.logpmf(x, p).reshape(len(x), -1).sum(axis=1).mean()
    assert math.isclose(result["constant_log_prob"], expected, rel_tol=1e-6)


@pytest.mark.parametrize("likelihood", ["binomial", "categorical", "poisson", "continuous_bernoulli"])
def test_every_kind_has_one(tmp_path, likelihood: str) -> None:
    config = changed(changed(experiment("digits"), "data", binarisation="none"), "model", likelihood=likelihood)
    _, result = measured(config, tmp_path / "run", -math.inf)
    assert np.isfinite(result["constant_log_prob"])


@pytest.mark.parametrize("likelihood", ["bernoulli", "binomial", "poisson", "continuous_bernoulli"])
def test_it_does_not_copy_the_training_examples(tmp_path, likelihood: str) -> None:
    binarisation = "dynamic" if likelihood == "bernoulli" else "none"
    config = changed(changed(experiment("digits"), "data", binarisation=binarisation), "model", likelihood=likelihood)
    run = create(config, tmp_path / "run")
    # Images of 32 times as many pixels, of which the test split has two.
    train, test = (np.tile(x, (1, 1, 1, 32)) for x in (run.dataset.train.x[:300], run.dataset.test.x[:2]))
    train = np.tile(train, (20, 1, 1, 1))
    splits = {"train": run.dataset.train._replace(x=train), "test": run.dataset.test._replace(x=test)}
    wide = replace(run, dataset=replace(run.dataset, **splits))
    subject = subject_of(run, run.initial())
    subject.__dict__.update(run=wide, examples=np.asarray(wide.dataset.shown(test)))
    tracemalloc.start()
    CONSTANT.measure(subject, Options(), {"log_marginal": 0.0})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < train.nbytes


def test_so_has_a_table(tmp_path) -> None:
    run, result = measured(quick(load_config("table")), tmp_path / "run", 0.0)
    train, test = run.dataset.train.x.astype(float), run.dataset.test.x.astype(float)
    expected = scipy.stats.norm.logpdf(test, train.mean(0), train.std(0)).sum(axis=1).mean()
    assert math.isclose(result["constant_log_prob"], expected, rel_tol=1e-5)


@pytest.mark.filterwarnings("ignore:the table. column mine")
@pytest.mark.parametrize(("offset", "spread"), [(0.0, 3.0), (1e6, 0.5), (0.0, 0.0)])
def test_a_real_column_has_a_spread_of_its_own(offset: float, spread: float, tmp_path) -> None:
    random = np.random.default_rng(0)
    values = offset + spread * random.standard_normal(200) if spread else np.r_[np.zeros(199), 0.5]
    rows = [f"{value:.6f},{other:.6f}" for value, other in zip(values, random.standard_normal(200), strict=True)]
    (tmp_path / "table.csv").write_text("\n".join(["mine,other", *rows]))
    config = changed(experiment(str(tmp_path / "table.csv"), batch_size=8), "model", likelihood="columns")
    config = changed(config, "data", stand_in=False, columns=("mine=reals", "other=reals"))
    run = create(config, tmp_path / "run")
    if not spread:
        # The one row that differs lies in a split that is held out.
        train = run.dataset.train._replace(x=np.where(run.dataset.train.x == 0.5, 0.0, run.dataset.train.x))
        run = replace(run, dataset=replace(run.dataset, train=train))
    result = CONSTANT.measure(subject_of(run, run.initial()), Options(), {"log_marginal": -1e9})
    if not spread:
        assert result == {}
        return
    train, test = run.dataset.train.x.astype(float), run.dataset.test.x.astype(float)
    expected = scipy.stats.norm.logpdf(test, train.mean(0), train.std(0)).sum(axis=1).mean()
    assert math.isclose(result["constant_log_prob"], expected, rel_tol=1e-5)


def test_counts_that_are_given_as_real_numbers_are_not_compared_with_a_density(tmp_path) -> None:
    counts = np.random.default_rng(0).poisson(0.1, (60, 5)).astype(np.float32)
    counts[0, 0] = 3.0
    vae = vj.VAE(
        lambda params, x: vj.standard_normal(1),
        lambda params, z: vj.Poisson(params["rate"] + 0.0 * z[0]),
        lambda params: vj.standard_normal(1),
    )
    options = {"optimizer": optax.sgd(0.0), "epochs": 1, "batch_size": 8, "console": Console(file=io.StringIO())}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = vj.fit(vae, counts, params={"rate": np.zeros(5, np.float32)}, directory=tmp_path / "run", **options)
    assert "constant_log_prob" not in fitted.evaluate(k=2)


def test_a_density_of_bits_is_compared_with_densities(tmp_path) -> None:
    bits = np.random.default_rng(0).integers(0, 2, (60, 20))
    np.save(tmp_path / "bits.npy", bits)
    config = changed(experiment(str(tmp_path / "bits.npy"), batch_size=8), "data", stand_in=False)
    values = []
    for likelihood in ("normal", "bernoulli"):
        run, result = measured(changed(config, "model", likelihood=likelihood), tmp_path / likelihood, 0.0)
        values.append(result["constant_log_prob"])
    train, test = run.dataset.train.x.astype(float), run.dataset.test.x.astype(float)
    assert math.isclose(
        values[0], scipy.stats.norm.logpdf(test, train.mean(0), train.std(0)).sum(1).mean(), rel_tol=1e-6
    )
    assert values[1] != values[0]


def test_a_density_of_counts_is_compared_with_densities(tmp_path) -> None:
    counts = np.random.default_rng(0).integers(0, 4, (200, 5))
    scale = counts.std(0).astype(np.float32)
    vae = vj.VAE(
        lambda params, x: vj.standard_normal(1),
        lambda params, z: vj.DiagNormal(params["loc"] + 0.0 * z[0], scale),
        lambda params: vj.standard_normal(1),
    )
    loc = counts.mean(0).astype(np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = vj.fit(
            vae,
            counts,
            params={"loc": loc},
            optimizer=optax.sgd(0.0),
            epochs=1,
            directory=tmp_path / "run",
            console=Console(file=io.StringIO()),
            evaluation_samples=2,
        )
    found = fitted.evaluate(k=2)
    # The model is that constant, but for the share of the examples that each was fitted to.
    assert found["constant_log_prob"] == pytest.approx(found["log_marginal"], abs=0.1)
