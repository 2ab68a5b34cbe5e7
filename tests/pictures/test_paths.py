import numpy as np

from tests.runs import changed, experiment, trained
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.paths import _STRENGTHS, _along_classes, _unlike
from vae_jax.pictures.picture import Shown
from vae_jax.pictures.run import write_pictures


def test_three_examples_are_of_different_classes_where_there_are() -> None:
    def rows(labels: list[int] | None) -> list[int]:
        test = type("Split", (), {"label": None if labels is None else np.asarray(labels)})
        return _unlike(Shown(test, None, codes))  # pyright: ignore[reportArgumentType]

    codes = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 3.0], [4.0, 0.1], [4.0, 0.0]])
    assert rows(None) == [0, 3, 2]
    assert rows([4, 4, 1, 4, 0]) == [4, 2, 0]
    assert rows([4, 4, 4, 4]) == [0, 1, 2]
    assert rows([4, 1, 4, 4]) == [1, 0, 2]


def test_ways_are_drawn_where_codes_are_vectors_with_or_without_a_prior(tmp_path) -> None:
    config = changed(experiment(epochs=1), "model", latent_size=4)
    names = {path.stem for path in write_pictures(subject_of(*trained(tmp_path / "run", config)))}
    assert {"interpolations", "j_diagram", "classes"} <= names


def test_an_example_of_no_class_is_none_of_another(tmp_path, monkeypatch) -> None:
    config = changed(experiment(epochs=1), "model", latent_size=4)
    subject = subject_of(*trained(tmp_path / "run", config))
    moved = []
    monkeypatch.setattr(
        "vae_jax.pictures.paths.decoded", lambda subject, z: moved.append(z) or np.zeros((3, 7, 8, 8, 1))
    )
    monkeypatch.setattr("vae_jax.pictures.paths.images", lambda *_, **texts: texts["row_names"])
    means = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    labels = np.array([-1, 0, 0, 1, 1, 2, 2, -1, -1])
    shown = Shown(subject.run.dataset.test._replace(label=labels), None, means)
    assert _along_classes(subject, shown) == ["0", "1", "2"]
    # Class 0 starts at the first example of another class, and goes from the others' mean to its own.
    np.testing.assert_allclose(moved[0][0, 0] - moved[0][0, 1], moved[0][0, 1] - moved[0][0, 2], atol=1e-5)
    whole = (moved[0][0, -1] - means[3]) / _STRENGTHS[-1]
    np.testing.assert_allclose(whole, means[1:3].mean(0) - means[3:7].mean(0), atol=1e-5)
