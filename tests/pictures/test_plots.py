import math

import numpy as np
import pytest

from vae_jax.pictures import plots


def test_tiles_put_every_image_in_its_place() -> None:
    images = np.arange(6 * 4, dtype=np.float32).reshape(2, 3, 2, 2, 1) / 24
    paper = plots.tiles(images)
    assert paper.shape == (7, 10, 1)
    np.testing.assert_array_equal(paper[4:6, 7:9], images[1, 2])
    assert (paper[3] == 0.5).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_images(tmp_path, channels: int) -> None:
    figure = plots.show_images(np.random.default_rng(0).random((2, 5, 8, 8, channels)), title="t", row_names=["a", "b"])
    figure.savefig(tmp_path / "a.png")
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["a", "b"]


def test_the_training_curve_shows_the_end_of_the_run() -> None:
    points = [(float(epoch), 100.0 / epoch) for epoch in range(1, 51)]
    figure = plots.training_curve(points, [], best=50.0, name="loss (nats)")
    low, high = figure.axes[0].get_ylim()
    assert low < 2.0
    assert high < 20.0
    assert len(plots.training_curve([], [], best=0.0, name="loss").axes) == 1


def test_codes_are_coloured_by_label() -> None:
    points, labels = np.random.default_rng(0).random((30, 2)), np.arange(30) % 3
    figure = plots.codes([(points, ("a", "b")), (points, ("c", "d"))], labels, title="t")
    legend = figure.axes[1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["0", "1", "2"]
    assert plots.codes([(points, ("a", "b"))], None, title="t").axes[0].get_legend() is None


def test_a_line_of_codes_and_clouds_of_points() -> None:
    values = np.random.default_rng(0).random(40)
    assert plots.code_line(values, np.arange(40) % 2, title="t").axes[0].get_xlabel() == "z"
    assert plots.code_line(values, None, title="t").axes[0].get_legend() is None
    assert len(plots.point_clouds([("a", np.zeros((3, 2))), ("b", np.ones((4, 2)))], title="t").axes) == 2


def test_bound_curves_have_a_panel_for_each_title() -> None:
    run = [(100.0 * i, -200.0 / i, -210.0 / i) for i in range(1, 31)]
    unvalidated = [(examples, bound, float("nan")) for examples, bound, _ in run]
    figure = plots.bound_curves({"left": {"a": [run, run], "b": [unvalidated]}, "right": {"c": [run]}})
    left, right = figure.axes
    assert [text.get_text() for text in left.get_legend().get_texts()] == ["a", "b"]
    assert (left.get_title(), right.get_title()) == ("left", "right")
    # The start of the run, far below, is out of the picture.
    assert left.get_ylim()[0] > -100


def test_a_curve_leaves_out_what_is_not_finite() -> None:
    nothing = [(1.0, math.nan), (2.0, -math.inf)]
    figure = plots.training_curve([(1.0, -3.0), (2.0, -math.inf), (3.0, -2.0)], nothing, best=3, name="bound")
    (line, *_), low = figure.axes[0].lines, figure.axes[0].get_ylim()[0]
    assert line.get_xdata().tolist() == [1.0, 3.0]
    assert -4.0 < low < -3.0
