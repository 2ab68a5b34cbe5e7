import numpy as np
from matplotlib.figure import Figure

from tests.runs import changed, experiment, trained
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.decoded import decoded, drawn, images


def test_codes_of_any_stack_decode_to_images_of_it(digits) -> None:
    subject = subject_of(*digits)
    z = np.random.default_rng(0).standard_normal((3, 4, subject.code_size)).astype(np.float32)
    grid = np.asarray(decoded(subject, z))
    assert grid.shape == (3, 4, 8, 8, 1)
    assert 0.0 <= grid.min() <= grid.max() <= 1.0
    np.testing.assert_allclose(decoded(subject, z[1]), grid[1], atol=1e-6)


def test_a_grid_is_a_figure_with_its_names(digits) -> None:
    figure = images(subject_of(*digits), np.zeros((2, 3, 8, 8, 1)), title="t", column_names=["a", "b", "c"])
    assert isinstance(figure, Figure)
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["a", "b", "c"]


def test_samples_have_noise_of_their_own_where_there_is_no_mean(tmp_path) -> None:
    config = changed(experiment(epochs=1), "model", autoregressive_layers=1)
    subject = subject_of(*trained(tmp_path / "run", config))
    z = np.zeros((6, subject.code_size), np.float32)
    assert len(np.unique(np.asarray(drawn(subject, z)).reshape(6, -1), axis=0)) == 6
    assert len(np.unique(np.asarray(decoded(subject, z)).reshape(6, -1), axis=0)) == 1
