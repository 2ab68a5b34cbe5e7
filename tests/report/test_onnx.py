import sys

import jax
import numpy as np
import pytest

from tests.runs import changed, experiment, trained
from vae_jax.measure.subject import subject_of
from vae_jax.report.onnx import RECIPE, write_onnx


@pytest.mark.parametrize("network", [{}, {"network": "conv", "hidden": (4, 8)}], ids=["mlp", "conv"])
def test_onnxruntime_gives_the_same_numbers_for_any_batch(network: dict, tmp_path) -> None:
    pytest.importorskip("jax2onnx", reason=f"jax2onnx is not installed: {RECIPE}")
    runtime = pytest.importorskip("onnxruntime")
    subject = subject_of(*trained(tmp_path / "run", changed(experiment(epochs=1), "model", **network)))
    encode, decode = (runtime.InferenceSession(path) for path in write_onnx(subject, tmp_path))
    vae, params = subject.density, subject.params
    for b in (1, 7, 256):
        x = (np.random.default_rng(0).random((b, 8, 8, 1)) < 0.3).astype(np.float32)
        mean, _ = encode.run(None, {encode.get_inputs()[0].name: x})
        np.testing.assert_allclose(mean, jax.vmap(lambda x: vae.encode(params, x).loc)(x), atol=1e-5)
        (found,) = decode.run(None, {decode.get_inputs()[0].name: mean})
        np.testing.assert_allclose(found, jax.vmap(lambda z: vae.decode(params, z).mean)(mean), atol=1e-5)


def test_without_jax2onnx_there_is_a_recipe(digits, tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "jax2onnx", None)
    with pytest.raises(ImportError, match="--onnx needs jax2onnx: pip install --no-deps"):
        write_onnx(subject_of(*digits), tmp_path)
