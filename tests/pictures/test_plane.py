import io

import numpy as np
import pytest
from PIL import Image

from tests.runs import changed, experiment, trained
from vae_jax.measure.subject import Subject, subject_of
from vae_jax.pictures.decoded import decoded
from vae_jax.pictures.plane import plane_of, sheet


def test_a_sheet_holds_every_picture_in_its_place() -> None:
    images = np.random.default_rng(0).random((5, 4, 6, 1))
    made = sheet(images, photographs=True)
    paper = np.asarray(Image.open(io.BytesIO(made.png)), float) / 255
    assert (made.columns, made.height, made.width) == (3, 4, 6)
    for i, image in enumerate(images):
        top, left = i // 3 * 4, i % 3 * 6
        np.testing.assert_allclose(paper[top : top + 4, left : left + 6], image[..., 0], atol=0.002)
    ink = np.asarray(Image.open(io.BytesIO(sheet(images).png)), float) / 255
    np.testing.assert_allclose(ink[:4, :6], 1.0 - images[0, ..., 0], atol=0.002)


@pytest.fixture(scope="module", params=[2, 5])
def subject(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    config = changed(experiment(epochs=1), "model", latent_size=request.param)
    return subject_of(*trained(tmp_path_factory.mktemp("plane") / "run", config))


def test_every_place_of_the_plane_is_decoded(subject: Subject) -> None:
    plane = plane_of(subject)
    assert plane is not None
    paper = np.asarray(Image.open(io.BytesIO(plane.places.png)), float) / 255
    assert plane.points.shape == (len(plane.labels or []), 2)
    inside = ((plane.points >= plane.low) & (plane.points <= plane.high)).all(axis=1)
    assert inside.mean() > 0.95
    if subject.code_size > 2:
        assert plane.axes[0].startswith("component 1, ")
        return
    # The top left corner is the least of the first number and the largest of the second.
    z = np.array([[plane.low[0], plane.high[1]], [plane.high[0], plane.low[1]]], np.float32)
    corners = 1.0 - np.asarray(decoded(subject, z))[..., 0]
    np.testing.assert_allclose(paper[:8, :8], corners[0], atol=0.003)
    last = (plane.ticks - 1) * 8
    np.testing.assert_allclose(paper[last : last + 8, last : last + 8], corners[1], atol=0.003)


def test_what_is_no_plane_of_pictures_has_none(tmp_path) -> None:
    points = subject_of(*trained(tmp_path / "points", experiment("curve", epochs=1)))
    assert plane_of(points) is None
    line = changed(experiment(epochs=1), "model", latent_size=1)
    assert plane_of(subject_of(*trained(tmp_path / "line", line))) is None
