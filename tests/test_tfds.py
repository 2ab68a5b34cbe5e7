import numpy as np
import pytest

from vae_jax.data import load


def test_mnist_is_read_without_tensorflow(shared_data) -> None:
    data = load("mnist", data_dir=shared_data / "tfds", validation_size=10_000)
    assert data.shape == (28, 28, 1)
    assert (len(data.train.x), len(data.validation.x), len(data.test.x)) == (50_000, 10_000, 10_000)
    assert data.train.x.dtype == np.uint8
    # Published: the mean of the MNIST training images is 0.1307 of white.
    everything = np.concatenate([data.train.x, data.validation.x])
    assert everything.mean() / 255 == pytest.approx(0.1307, abs=1e-4)
    assert np.bincount(data.test.label).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.parametrize("make", [True, False])
def test_a_missing_or_empty_folder_is_named_with_the_command(tmp_path, make: bool) -> None:
    folder = tmp_path / "data"
    if make:
        folder.mkdir()
    with pytest.raises(FileNotFoundError, match=r"no data for mnist: the folder .*mnist .*--data-dir.*tfds build"):
        load("mnist", data_dir=folder)
