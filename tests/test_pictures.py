import matplotlib.image
import pytest

from tests.runs import changed, experiment, trained
from vae_jax.pictures import write_pictures

CASES = {
    "two dimensions": (experiment(), {"training_curve", "latent", "reconstructions", "samples", "manifold"}),
    "more dimensions": (
        changed(experiment(), "model", latent_size=5),
        {"training_curve", "latent", "reconstructions", "samples"},
    ),
    "full covariance": (
        changed(experiment(), "model", latent_size=3, posterior="full"),
        {"training_curve", "latent", "reconstructions", "samples"},
    ),
    "points in the plane": (
        changed(experiment("curve"), "model", latent_size=1),
        {"training_curve", "latent", "samples"},
    ),
    "grey images": (
        changed(changed(experiment(), "data", binarisation="none"), "model", likelihood="normal"),
        {"training_curve", "latent", "reconstructions", "samples", "manifold"},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_every_picture_that_fits_is_drawn(tmp_path, name: str) -> None:
    config, expected = CASES[name]
    run, state = trained(tmp_path / "run", config)
    paths = write_pictures(run, state)
    assert {path.stem for path in paths} == expected
    for path in paths:
        image = matplotlib.image.imread(path)
        assert min(image.shape[:2]) > 200
        assert image.std() > 0.01
