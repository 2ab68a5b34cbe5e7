"""What leaves a run gives the same numbers where this package is not installed."""

import json
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

import vae_jax as vj
from tests.measure.test_subject import LAYERS
from tests.runs import changed, experiment, trained
from vae_jax.config import quick
from vae_jax.config.files import load_config
from vae_jax.core.errors import RequestError
from vae_jax.evaluate.usage import latent_means
from vae_jax.measure.subject import subject_of
from vae_jax.report.export import PLATFORMS, programs, write_export, write_parameters
from vae_jax.train.run import create

SIZES = (1, 7, 256)


@pytest.fixture(scope="module")
def exported(digits, tmp_path_factory: pytest.TempPathFactory):
    subject = subject_of(*digits)
    out = tmp_path_factory.mktemp("ex port ü") / "model"
    return subject, out, write_export(subject, out, k=20)


def test_jax_alone_gives_the_same_numbers_for_any_batch(exported, tmp_path) -> None:
    subject, out, _ = exported
    vae, params = subject.density, subject.params
    code = f"""
        import sys
        from pathlib import Path
        import numpy as np
        from jax import export
        assert not any(name.startswith(("vae_jax", "flax")) for name in sys.modules)
        files = Path({str(out)!r}).glob("*.jaxexport")
        call = {{file.stem: export.deserialize(bytearray(file.read_bytes())).call for file in files}}
        found = {{}}
        for b in {SIZES}:
            x = (np.arange(64 * b).reshape(b, 8, 8, 1) % 3 == 0).astype(np.float32)
            seeds = np.arange(b, dtype=np.uint32)
            code = call["encode"](x)
            found |= {{f"{{name}}{{b}}": value for name, value in code.items()}}
            found |= {{f"x{{b}}": call["decode"](code["mean"]), f"sample{{b}}": call["sample"](seeds)}}
            found |= {{f"log{{b}}": call["log_marginal"](seeds, x)}}
        np.savez({str(tmp_path / "found.npz")!r}, **found)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True, cwd=tmp_path)
    found = np.load(tmp_path / "found.npz")
    for b in SIZES:
        x = (np.arange(64 * b).reshape(b, 8, 8, 1) % 3 == 0).astype(np.float32)
        q = jax.jit(jax.vmap(lambda x: vae.encode(params, x)))(x)
        np.testing.assert_allclose(found[f"mean{b}"], q.loc, atol=1e-6)
        np.testing.assert_allclose(found[f"stddev{b}"], q.stddev, atol=1e-6)
        decoded = jax.jit(jax.vmap(lambda z: vae.decode(params, z).mean))(q.loc)
        np.testing.assert_allclose(found[f"x{b}"], decoded, atol=1e-6)
        keys = jax.vmap(jax.random.key)(jnp.arange(b, dtype=jnp.uint32))
        value = jax.jit(jax.vmap(lambda key, x: vj.log_marginal(vae, params, key, x, num_samples=20).value))(keys, x)
        np.testing.assert_allclose(found[f"log{b}"], value, rtol=1e-5)
        assert set(np.unique(found[f"sample{b}"])) <= {0.0, 1.0}


def test_every_platform_is_in_one_file(exported) -> None:
    from jax import export

    _, out, _ = exported
    assert export.deserialize(bytearray((out / "decode.jaxexport").read_bytes())).platforms == PLATFORMS


def test_parameters_have_their_paths_as_names(exported) -> None:
    subject, out, _ = exported
    arrays, tree = load_file(out / "params.safetensors"), json.loads((out / "params.json").read_text())
    leaves = jax.tree_util.tree_leaves_with_path(subject.params)
    assert len(arrays) == len(leaves) == len(tree)
    for path, leaf in leaves:
        name = ".".join(str(key.key) for key in path)
        np.testing.assert_array_equal(arrays[name], leaf)
        assert tree[name] == {"shape": list(leaf.shape), "dtype": "float32"}


def test_a_single_number_stays_one(tmp_path) -> None:
    write_parameters(tmp_path, {"decoder": {"log_scale": np.float32(0.5)}})
    assert load_file(tmp_path / "params.safetensors")["decoder.log_scale"].shape == ()
    assert json.loads((tmp_path / "params.json").read_text()) == {
        "decoder.log_scale": {"shape": [], "dtype": "float32"}
    }


def test_every_file_is_named(exported) -> None:
    _, out, paths = exported
    assert sorted(paths) == sorted(out.iterdir())


@pytest.mark.parametrize("name", ["table", "autoencoder", pytest.param("vq_vae", marks=pytest.mark.slow)])
def test_other_models_leave_with_what_they_have(name: str, tmp_path) -> None:
    config = changed(quick(load_config(name)), "train", epochs=1)
    if name == "vq_vae":
        config = changed(
            changed(config, "model", hidden=(4, 4)), "quantisation", code_prior_layers=1, code_prior_width=8
        )
    subject = subject_of(*trained(tmp_path / "run", config))
    write_export(subject, tmp_path / "out", k=2)
    programs = {path.stem for path in (tmp_path / "out").glob("*.jaxexport")}
    assert {"encode", "decode"} <= programs
    assert ("log_marginal" in programs) == subject.has_density
    assert ("sample" in programs) == subject.has_fitted_prior


def test_nothing_stays_of_an_export_before(digits, tmp_path) -> None:
    subject, out = subject_of(*digits), tmp_path / "out"
    out.mkdir()
    for name in ("sample.jaxexport", "decode.onnx", "evaluation.json", "mine.onnx"):
        (out / name).write_text("of other parameters")
    paths = write_export(subject, out, k=2)
    assert {path.name for path in out.iterdir()} - {path.name for path in paths} == {"mine.onnx"}
    assert b"of other parameters" not in (out / "sample.jaxexport").read_bytes()


def test_a_model_that_is_told_a_condition_stays(tmp_path) -> None:
    import dataclasses

    config = dataclasses.replace(experiment(epochs=1), system="conditional")
    subject = subject_of(*trained(tmp_path / "run", config))
    with pytest.raises(RequestError, match="is told a condition"):
        write_export(subject, tmp_path / "out", k=2)


@pytest.mark.parametrize("kind", ["layers", "path", "flow"])
def test_a_code_without_a_mean_in_closed_form_leaves_with_one_too(kind: str, tmp_path) -> None:
    kinds = {
        "layers": changed(LAYERS, "model", latent_size=3),
        "path": changed(experiment(), "model", latent_layers=(2,)),
        "flow": changed(changed(experiment(), "model", posterior="iaf"), "objective", estimator="sampled"),
    }
    run = create(kinds[kind], tmp_path / "run")
    subject = subject_of(run, run.initial())
    encode, _ = programs(subject, 2)["encode"]
    x = jax.tree.map(lambda leaf: leaf[:5], subject.examples)
    expected = latent_means(subject.coder, subject.params, jax.random.key(0), x)
    # A mean of draws is noise to a thirtieth of the posterior's width.
    for found, mean in zip(jax.tree.leaves(jax.jit(encode)(x)["mean"]), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(found, mean, atol=1e-5 if kind == "path" else 0.2)
