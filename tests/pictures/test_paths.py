import numpy as np

from tests.runs import changed, experiment, trained
from vae_jax.measure.subject import subject_of
from vae_jax.pictures.paths import _unlike
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
