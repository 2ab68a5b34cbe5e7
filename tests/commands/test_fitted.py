"""`fit` and `open_run`: a model of one's own, from Python."""

import io
import threading
from functools import partial
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from rich.console import Console
from sklearn.datasets import load_digits

import vae_jax as vj
from vae_jax.cli import main
from vae_jax.config import Optimizer
from vae_jax.core.errors import ConfigError, RequestError
from vae_jax.data import load
from vae_jax.nets import from_nnx
from vae_jax.train.loop import TrainingError
from vae_jax.train.python import _instead_of_bits, as_dataset

X = (load_digits().data[:300] > 8).astype(np.float32)
DATA = {"x": X, "label": load_digits().target[:300]}
ADAM = optax.adam(3e-3)


def model() -> tuple[vj.VAE, dict]:
    encoder, decoder = (from_nnx(nnx.Linear(*sizes, rngs=nnx.Rngs(0))) for sizes in ((64, 4), (2, 64)))

    def encode(params, x):
        loc, log_scale = jnp.split(encoder.apply(params["encoder"], x), 2)
        return vj.DiagNormal(loc, jnp.exp(log_scale))

    vae = vj.VAE(
        encode,
        lambda params, z: vj.Bernoulli(decoder.apply(params["decoder"], z)),
        lambda params: vj.standard_normal(2),
    )
    return vae, {"encoder": encoder.params, "decoder": decoder.params}


def quiet() -> Console:
    return Console(file=io.StringIO())


def fitted(directory, epochs: int = 4, **options):
    vae, params = model()
    settings = {"optimizer": ADAM, "estimate": vj.dreg(vj.iwae), "num_samples": 3, "batch_size": 32} | options
    return vj.fit(vae, DATA, params=params, directory=directory, epochs=epochs, console=quiet(), **settings)


def test_a_model_of_ones_own_is_trained_measured_and_drawn(tmp_path) -> None:
    run = fitted(tmp_path / "run")
    lines = run.history
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    assert lines[-1]["validation_loss"] < lines[0]["validation_loss"]
    assert all(isinstance(value, int | float) for line in lines for value in line.values() if value is not None)
    result = run.evaluate(k=10)
    assert result["k"] == 10
    assert result["likelihood"] == "Bernoulli"
    assert {"bits_per_dimension", "probe_accuracy", "constant_log_prob"} <= set(result)
    assert {path.stem for path in run.pictures()} == {"training_curve", "latent"}
    assert run.vae.encode(run.params, X[0]).mean.shape == (2,)
    written = {path.name: path for path in run.export(k=5)}
    assert run.directory / "export" == written["README.md"].parent
    card = written["README.md"].read_text()
    assert "The model was made in Python" in card
    assert '"hidden"' not in card, "it is no model of a config"
    encode = jax.export.deserialize(written["encode.jaxexport"].read_bytes())
    means = jax.vmap(lambda x: run.vae.encode(run.params, x).mean)(X[:3])
    np.testing.assert_allclose(encode.call(X[:3])["mean"], means, rtol=1e-5)


def test_codes_that_are_numbers_of_choices_are_measured_and_drawn(tmp_path) -> None:
    table = jnp.ones((3, 4, 64)) * 0.1
    vae = vj.VAE(
        lambda params, x: vj.Categorical((params["encoder"] @ x).reshape(3, 4)),
        lambda params, z: vj.Bernoulli((params["table"][jnp.arange(3), z]).sum(axis=0).reshape(8, 8, 1)),
        lambda params: vj.Categorical(jnp.zeros((3, 4))),
    )
    params = {"encoder": jnp.zeros((12, 64)), "table": table}
    images = {"x": X.reshape(-1, 8, 8, 1), "label": DATA["label"]}
    vae = vae._replace(encode=lambda params, x, encode=vae.encode: encode(params, x.reshape(-1)))
    options = {"optimizer": ADAM, "estimate": vj.score(vj.iwae), "num_samples": 3, "batch_size": 32}
    run = vj.fit(vae, images, params=params, directory=tmp_path / "run", epochs=2, console=quiet(), **options)
    assert run.evaluate(k=10)["likelihood"] == "Bernoulli"
    assert {path.stem for path in run.pictures()} >= {"training_curve", "samples"}
    assert vj.open_run(tmp_path / "run", vae, images, params=params, optimizer=ADAM).state.best_epoch == 2


def test_an_optimiser_of_ones_own_may_leave_steps_out(tmp_path) -> None:
    rule = optax.MultiSteps(ADAM, 1, should_skip_update_fn=partial(optax.skip_large_updates, max_squared_norm=1e-9))
    with pytest.warns(UserWarning, match="most steps of an epoch are left out.*the optimiser says so"):
        run = fitted(tmp_path / "run", epochs=1, optimizer=rule.gradient_transformation())
    assert run.history[-1]["train_left_out"] == 1.0
    # Gradients that are added up before a step are not left out.
    for number, skips in enumerate((None, partial(optax.skip_large_updates, max_squared_norm=1e9))):
        rule = optax.MultiSteps(ADAM, 3, should_skip_update_fn=skips)
        run = fitted(tmp_path / f"run{number}", epochs=1, optimizer=rule.gradient_transformation())
        assert run.history[-1].get("train_left_out", 0.0) == 0.0


def test_it_goes_on_bit_for_bit_and_opens_again(tmp_path, monkeypatch) -> None:
    whole = fitted(tmp_path / "whole")
    # Stopped after a chunk, as by a signal.
    from vae_jax.train import loop

    monkeypatch.setattr(loop, "_exhausted", lambda run, state, step: step >= 9)
    part = fitted(tmp_path / "part")
    assert int(part.state.train.step) < int(whole.state.train.step)
    monkeypatch.undo()
    again = fitted(tmp_path / "part")
    vae, params = model()
    opened = vj.open_run(tmp_path / "part", vae, DATA, params=params, optimizer=ADAM)
    for other in (again, opened):
        for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(other.params), strict=True):
            np.testing.assert_array_equal(a, b)


def test_stopped_before_an_epoch_has_ended_it_has_no_parameters_yet(tmp_path, monkeypatch) -> None:
    from vae_jax.train import loop

    monkeypatch.setattr(loop, "_exhausted", lambda run, state, step: step >= 1)
    part = fitted(tmp_path / "part")
    assert 0 < int(part.state.train.step) < 6
    for use in (lambda: part.params, part.evaluate, part.export):
        with pytest.raises(ConfigError, match="holds no finished epoch, so no best parameters, yet"):
            use()


def test_the_data_are_those_that_were_given(tmp_path) -> None:
    mine = {"x": X[:100].copy(), "x_test": X[100:150].astype(np.uint8), "x_val": X[150:180].astype(bool)}
    dataset = as_dataset(mine, seed=0)
    for array in mine.values():
        array[:] = 0
    assert dataset.train.x.any()
    assert dataset.validation.x.any()
    assert dataset.test.x.any()


def test_it_trains_in_a_thread_of_a_notebook_server(tmp_path) -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(fitted(tmp_path / "run", epochs=1)))
    thread.start()
    thread.join()
    assert int(found[0].state.train.step) == 6


MINE = """
import jax.numpy as jnp
import vae_jax as vj

def build():
    def encode(params, x):
        return vj.DiagNormal(x @ params["w"], jnp.ones(2))
    def decode(params, z):
        return vj.Bernoulli(params["w"] @ z)
    vae = vj.VAE(encode, decode, lambda params: vj.standard_normal(2))
    return vj.as_system(vae, {"w": 0.1 * jnp.ones((64, 2))}, estimate=vj.stl(vj.elbo))
"""


def test_a_model_of_a_file_is_one_of_the_command_line_too(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    np.savez(tmp_path / "data.npz", **DATA)
    monkeypatch.chdir(tmp_path)
    options = {"directory": "run", "epochs": 1, "evaluation_samples": 5, "console": quiet()}
    run = vj.fit(None, str(tmp_path / "data.npz"), build="mine.py:build", optimizer=Optimizer(), **options)
    assert vj.open_run("run").run.config == run.run.config
    assert main(["evaluate", "run", "--gaps", "0"]) == 0
    assert main(["sample", "run", "--count", "3"]) == 0
    capsys.readouterr()
    with pytest.raises(ConfigError, match="its optimiser must be one that a config can name"):
        vj.fit(None, DATA, build="mine.py:build", optimizer=ADAM, **options)
    # The System of the file has both, and they would be ignored.
    for ignored in ({"num_samples": 5}, {"estimate": vj.dreg(vj.iwae)}):
        with pytest.raises(ConfigError, match="a System has its own. Say them where it is made: vj.as_system"):
            vj.fit(None, DATA, build="mine.py:build", **options, **ignored)


def test_real_numbers_of_a_file_are_read_the_same_by_commands(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "mine.py").write_text(MINE.replace('vj.Bernoulli(params["w"] @ z)', "vj.standard_normal(64)"))
    np.save(tmp_path / "data.npy", 3.0 * np.random.default_rng(0).normal(size=(60, 64)))
    monkeypatch.chdir(tmp_path)
    options = {"directory": "run", "epochs": 1, "evaluation_samples": 5, "batch_size": 8, "console": quiet()}
    vj.fit(None, "data.npy", build="mine.py:build", **options)
    assert vj.fit(None, "data.npy", build="mine.py:build", **options).state.best_epoch == 1
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["evaluate", "../run", "--gaps", "0"]) == 0
    assert "log p(x)" in capsys.readouterr().out


def test_what_is_missing_or_does_not_fit_is_said_before_any_compute(tmp_path, capsys) -> None:
    vae, params = model()
    with pytest.raises(ConfigError, match="needs the parameters that it starts from"):
        vj.fit(vae, X, directory=tmp_path / "a")
    with pytest.raises(ConfigError, match=r"estimate must be an estimator of a bound.*got iwae: vj.total\(iwae\)"):
        vj.fit(vae, X, params=params, estimate=vj.iwae, directory=tmp_path / "a")
    with pytest.raises(ConfigError, match="give a model, or the path of a function"):
        vj.fit(None, X, directory=tmp_path / "a")
    with pytest.raises(ConfigError, match=r"as my_model.py:build, got 'mine'"):
        vj.fit(None, X, build="mine", directory=tmp_path / "a")
    with pytest.raises(ValueError, match="but none named x, images, data"):
        vj.fit(vae, {"pixels": X}, params=params, directory=tmp_path / "a")
    with pytest.raises(ValueError, match=r"must be numbers of shape \[n, …\], got"):
        vj.fit(vae, X[0], params=params, directory=tmp_path / "a")
    # A Bernoulli of grey values is no density, and soft targets would be measured as one.
    for grey, advice in (
        (0.3 + 0.4 * X, r"x.shape\) < x, or decode to a vj.ContinuousBernoulli and give x"),
        ((16 * X).astype(np.uint8), r"x.shape\) < x / 16, or decode to a vj.ContinuousBernoulli and give x / 16"),
        (X - 0.5, "They are real numbers: decode to a vj.DiagNormal"),
    ):
        said = "p\\(x \\| z\\) is a Bernoulli, of bits, but x has other values"
        with pytest.raises(ConfigError, match=f"{said}.*{advice}"):
            vj.fit(vae, grey, params=params, directory=tmp_path / "a")
    with pytest.raises(ValueError, match=r"an array \[n, …\] with NaN for each, got Observed"):
        vj.fit(vae, {"x": vj.Observed(X, X > 0)}, params=params, directory=tmp_path / "a")
    run: Any = SimpleNamespace(dataset=load("digits"), config=SimpleNamespace(data=SimpleNamespace(dataset="digits")))
    assert "vae_jax.data.load('digits', binarisation='dynamic') is data" in _instead_of_bits(run)
    assert not (tmp_path / "a").exists()
    # A notebook prints what its last line gives: neither the data nor the parameters.
    assert repr(fitted(tmp_path / "run", epochs=1)) == f"Fitted({str(tmp_path / 'run')!r}, step 6 of 6)"
    with pytest.raises(ConfigError, match=r"holds a run with other settings \(train.epochs\)"):
        fitted(tmp_path / "run", epochs=2)
    with pytest.raises(RequestError, match="have changed"):
        vj.open_run(tmp_path / "run", vae, X, params=params, optimizer=ADAM)
    with pytest.raises(ConfigError, match="of another architecture.*Was it trained by another optimiser"):
        vj.open_run(tmp_path / "run", vae, DATA, params=params, optimizer=optax.sgd(1e-2))
    for given in ({}, {"model": vae, "params": params}):
        with pytest.raises(ConfigError, match=r"vj.open_run\('.*run', model, data, params=params\)"):
            vj.open_run(tmp_path / "run", **given)
    assert main(["sample", str(tmp_path / "run")]) == 1
    assert "the model of this run was made in Python" in capsys.readouterr().err


def test_whole_numbers_of_numpy_are_numbers(tmp_path) -> None:
    sizes = {"epochs": np.int64(1), "batch_size": np.int32(32), "seed": np.uint8(3), "evaluation_samples": np.int64(5)}
    run = fitted(tmp_path / "run", **sizes)
    assert run.evaluate(k=np.int64(7))["k"] == 7
    with pytest.raises(TypeError, match="k must be a static integer, got 5.0"):
        run.evaluate(k=5.0)  # pyright: ignore[reportArgumentType]


def test_without_a_directory_each_has_one_of_its_own(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert [fitted(None, epochs=1).directory.name for _ in range(2)] == ["fit", "fit-2"]
    vae, params = model()
    with pytest.raises(ConfigError, match="is a Bernoulli"):
        vj.fit(vae, X - 0.5, params=params)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["fit", "fit-2"]


def test_settings_without_an_effect_are_refused(tmp_path) -> None:
    vae, params = model()
    with pytest.raises(ConfigError, match="--weight-decay has no effect with adam"):
        fitted(tmp_path / "a", optimizer=Optimizer(optimizer="adam", weight_decay=0.5))
    data = DATA | {"x_val": X[:0], "label_val": DATA["label"][:0]}
    with pytest.raises(ConfigError, match="--patience 1 waits for a better validation loss, but --validation-size is"):
        vj.fit(vae, data, params=params, directory=tmp_path / "a", patience=1, console=quiet())
    assert not (tmp_path / "a").exists()


def test_a_run_of_python_is_not_sent_to_commands_that_cannot_open_it(tmp_path) -> None:
    with pytest.raises(
        TrainingError, match=r"with a lower learning rate, .*look at the step: .*nonfinite.json"
    ) as told:
        fitted(tmp_path / "run", optimizer=optax.sgd(1e30))
    assert "vae-jax" not in str(told.value)
    vae, params = model()
    with pytest.raises(ConfigError, match="Train it with: vj.fit with the same arguments"):
        vj.open_run(tmp_path / "run", vae, DATA, params=params, optimizer=optax.sgd(1e30))
    # It came to nothing, so its directory is free for another try.
    assert fitted(tmp_path / "run", epochs=1).history[-1]["epoch"] == 1
