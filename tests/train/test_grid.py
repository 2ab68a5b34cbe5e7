import jax
import pytest

from tests.runs import experiment
from vae_jax.core.errors import ConfigError
from vae_jax.train.grid import grid_points, parse_grid, point_name, sweepable, with_values


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ("model.latent_size=2,3", r"not a field that can be swept.*the real numbers are .*objective\.beta"),
        ("optimizer.beta=1,2", "not a field that can be swept"),
        ("beta", "give different numbers with commas between: beta=1,2,4"),
        ("beta=1,x", "give different numbers"),
        ("beta=1,1", "give different numbers"),
    ],
)
def test_what_cannot_be_swept_is_refused(over: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_grid([over])


def test_a_field_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="is given twice: name all its numbers at once"):
        parse_grid(["beta=1", "objective.beta=2"])


def test_a_grid_is_read_with_or_without_sections_and_by_the_names_of_flags() -> None:
    grid = parse_grid(["objective.beta=1,2,4", "learning-rate=1e-3"])
    assert grid == {("objective", "beta"): (1.0, 2.0, 4.0), ("optimizer", "learning_rate"): (1e-3,)}
    assert parse_grid([]) == {}


def test_points_are_every_combination_the_last_field_varying_fastest() -> None:
    points = grid_points(parse_grid(["beta=1,4", "learning_rate=0.1,0.2"]))
    assert [tuple(point.values()) for point in points] == [(1.0, 0.1), (1.0, 0.2), (4.0, 0.1), (4.0, 0.2)]
    assert [point_name(point) for point in points[:2]] == ["beta=1,learning_rate=0.1", "beta=1,learning_rate=0.2"]
    # Seeds alone are a sweep too.
    assert [point_name(point) for point in grid_points({})] == ["all"]


def test_values_go_to_their_sections_and_may_be_traced() -> None:
    config = experiment()
    found = with_values(config, {("objective", "beta"): 4.0, ("train", "seed"): 7})
    assert (found.objective.beta, found.train.seed) == (4.0, 7)
    assert with_values(found, {("objective", "beta"): 1.0, ("train", "seed"): 0}) == config
    doubled = jax.jit(lambda beta: 2.0 * with_values(config, {("objective", "beta"): beta}).objective.beta)(3.0)
    assert doubled == 6.0


def test_integers_words_and_what_shapes_the_program_are_not_swept() -> None:
    found = sweepable()
    assert {"beta": "objective", "learning_rate": "optimizer"}.items() <= found.items()
    assert not {"latent_size", "seed", "bound", "hidden", "chunk_seconds", "second_stage_at", "grow_at"} & set(found)
