import dataclasses
import json
import types
from pathlib import Path
from typing import Any

import pytest

from vae_jax.config.files import load_config
from vae_jax.core.errors import RequestError
from vae_jax.measure.subject import Subject
from vae_jax.search.bayesian import Found
from vae_jax.search.strings import Target, search_file, target_of, write_search
from vae_jax.train.run import prepare_run


def test_a_search_for_molecules_wants_the_largest_log_p(tmp_path: Path) -> None:
    data = dataclasses.replace(load_config("zinc").data, stand_in=True)
    run = prepare_run(dataclasses.replace(load_config("zinc"), data=data), tmp_path)
    target = target_of(Subject(run, None, {}, None, None))
    assert target.name == "penalised log P"
    oily, soluble = target.score("CCCCCCCC"), target.score("OCC(O)CO")
    assert oily < soluble
    assert target.shown(oily) == target.value("CCCCCCCC") > target.value("OCC(O)CO")
    assert target.score("c1cccc") == float("inf")


def test_a_place_for_what_is_found_is_checked_before_the_search(tmp_path) -> None:
    subject: Any = types.SimpleNamespace(run=types.SimpleNamespace(directory=tmp_path))
    assert search_file(subject, None) == tmp_path / "search.json"
    with pytest.raises(RequestError, match=r"--out must end in .json, got found.txt"):
        search_file(subject, Path("found.txt"))


def on(valid_as: str | None, grammar: Any = None) -> Any:
    run = types.SimpleNamespace(
        config=types.SimpleNamespace(strings=types.SimpleNamespace(valid_as=valid_as)), directory="runs/mine"
    )
    return types.SimpleNamespace(run=run, grammar=grammar, is_valid=lambda string: True)


def test_a_search_for_equations_wants_the_smallest_distance() -> None:
    target = target_of(on("equations"))
    assert target.name == "log(1 + MSE)"
    assert target.score("1/3+x+sin(x*x)") == 0.0 < target.score("x") < target.score("exp(x)")
    assert target.shown(target.score("x")) == target.value("x")


@pytest.mark.parametrize("valid_as", [None, "molecules"])
def test_what_has_no_score_is_not_searched(valid_as: str | None) -> None:
    with pytest.raises(RequestError, match="runs/mine has no strings with a score: .* whose --valid-as is equations"):
        target_of(on(valid_as))


def test_what_was_scored_is_written_with_its_own_sign_and_new_strings_are_drawn(tmp_path: Path) -> None:
    target = Target("largest", -1.0, float)
    scored = [Found("7", -7.0, 2), Found("5", -5.0, 0), Found("2", -2.0, 1), Found("x", float("inf"), 1)]
    path, picture = write_search(on(None), target, scored, tmp_path / "search.json")
    assert json.loads(path.read_text()) == [
        {"string": "7", "largest": 7.0, "round": 2},
        {"string": "5", "largest": 5.0, "round": 0},
        {"string": "2", "largest": 2.0, "round": 1},
        # A string without a score.
        {"string": "x", "largest": None, "round": 1},
    ]
    assert picture == tmp_path / "search.png"
    assert picture.is_file()


def test_where_no_string_is_new_none_is_drawn(tmp_path: Path) -> None:
    found = [Found("5", -5.0, 0)]
    assert write_search(on(None), Target("largest", -1.0, float), found, tmp_path / "s.json") == [tmp_path / "s.json"]
