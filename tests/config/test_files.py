"""Where configs come from, and how they are kept: names, paths and JSON."""

import dataclasses
import json

import pytest

from vae_jax.config import Data, Evaluate, Experiment, Model, Objective, quick
from vae_jax.config.files import config_names, from_json, load_config, to_json, with_absolute_paths
from vae_jax.core.errors import ConfigError
from vae_jax.systems.registry import validate

BASE = Experiment("a test", Data("digits"))


def changed(section: str, **fields) -> Experiment:
    return dataclasses.replace(BASE, **{section: dataclasses.replace(getattr(BASE, section), **fields)})


@pytest.mark.parametrize("name", config_names())
def test_every_shipped_config_is_valid_and_survives_json(name: str) -> None:
    config = validate(load_config(name))
    assert from_json(to_json(config)) == config
    assert config.description
    assert "\n" not in config.description
    assert validate(quick(config)).data.stand_in


def test_an_unknown_config_gets_a_suggestion(tmp_path) -> None:
    with pytest.raises(
        ConfigError, match="no config 'digit'. Did you mean digits.*There are adversarial_autoencoder, aevb"
    ):
        load_config("digit")
    with pytest.raises(ConfigError, match="no config .*nowhere.py"):
        load_config(str(tmp_path / "nowhere.py"))
    (tmp_path / "empty.py").write_text("")
    with pytest.raises(ConfigError, match=r"defines no get_config\(\)"):
        load_config(str(tmp_path / "empty.py"))
    (tmp_path / "syntax.py").write_text("x = 1\ndef get_config(:\n")
    with pytest.raises(ConfigError, match="syntax.py, line 2: SyntaxError"):
        load_config(str(tmp_path / "syntax.py"))
    (tmp_path / "name.py").write_text("x = 1\n\nunknown\n")
    with pytest.raises(ConfigError, match="name.py, line 3: NameError"):
        load_config(str(tmp_path / "name.py"))
    (tmp_path / "wrong.py").write_text("def get_config():\n    return 3\n")
    with pytest.raises(ConfigError, match="get_config.. of .* must be of the type Experiment, got int"):
        load_config(str(tmp_path / "wrong.py"))


def test_a_config_by_path(tmp_path) -> None:
    text = 'from vae_jax.config import *\ndef get_config():\n    return Experiment("mine", Data("curve"))\n'
    (tmp_path / "mine.py").write_text(text)
    assert load_config(str(tmp_path / "mine.py")).description == "mine"


def test_a_field_of_another_version_is_named() -> None:
    values = json.loads(to_json(BASE).replace('"epochs"', '"epoch_count"'))
    values.pop("checksum")
    text = json.dumps(values)
    with pytest.raises(ConfigError, match=r"\['epoch_count'\], which this version's Train lacks"):
        from_json(text)


def test_json_keeps_what_is_none_a_tuple_or_no_number_of_json() -> None:
    config = dataclasses.replace(
        BASE,
        model=Model(hidden=(3, 4), upper_latent_sizes=()),
        objective=Objective(grow_to=(5,), grow_at=(0.25,), capacity=None),
        evaluate=Evaluate(measurements=("/mine.py",)),
    )
    again = from_json(to_json(config))
    assert again == config
    assert again.model.hidden == (3, 4)


def test_files_that_a_config_names_are_sought_beside_it_and_then_here(tmp_path, monkeypatch) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    for folder, names in ((there, ("a.py",)), (here, ("a.py", "b.py"))):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
    monkeypatch.chdir(here)
    config = dataclasses.replace(BASE, system="a.py", evaluate=Evaluate(measurements=("b.py", str(there / "a.py"))))
    found = with_absolute_paths(config, there)
    assert found.system == str(there / "a.py")
    assert found.evaluate.measurements == (str(here / "b.py"), str(there / "a.py"))
    # So is the run that it begins with, which is a folder.
    (here / "run").mkdir()
    begun = with_absolute_paths(changed("train", start_from="run"), there)
    assert begun.train.start_from == str(here / "run")
    # A published model is a name, not a file.
    assert with_absolute_paths(BASE, there) == BASE


def test_a_saved_config_says_its_format_and_one_without_is_of_version_0_1_0() -> None:
    saved = json.loads(to_json(changed("strings", grammar="smiles")))
    assert from_json(json.dumps(saved)).strings.grammar == "smiles"
    for other in (0, 4, "2"):
        with pytest.raises(ConfigError, match=f"is of format {other}, but this version reads 1 to 3: a newer vae_jax"):
            from_json(json.dumps(saved | {"format": other}))
    del saved["format"], saved["checksum"]
    assert from_json(json.dumps(saved)).strings.grammar == "smiles_zinc"
