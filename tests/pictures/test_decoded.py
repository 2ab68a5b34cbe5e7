import numpy as np
from matplotlib.figure import Figure

from vae_jax.measure.subject import subject_of
from vae_jax.pictures.decoded import decoded, images


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
