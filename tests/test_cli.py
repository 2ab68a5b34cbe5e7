import json
from importlib.metadata import version

import numpy as np
import pytest

from tests.runs import trained
from vae_jax.cli import main
from vae_jax.commands.train import _check_flags, _free_directory, _TrainOptions
from vae_jax.config.files import config_names, load_config
from vae_jax.core.errors import ConfigError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("cli") / "run")[0].directory


def test_the_version_is_that_of_the_package(capsys) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"vae-jax {version('vae-jax')}\n"


def test_configs_are_listed_one_a_line(capsys) -> None:
    assert main(["configs", "--help"]) == 0
    assert capsys.readouterr().out.startswith("usage: vae-jax configs")
    assert main(["configs"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == config_names()
    assert all(len(line.split()) > 3 for line in lines)


# One of each kind; the others differ from these in numbers, or are trained in the tests of what they are made of. They
# run with `pytest -m slow`.
_EACH_KIND = {
    *("digits", "digits_conv", "curve", "aevb_frey", "burda_two_layers", "sparse_autoencoder"),
    *("adversarial_autoencoder", "conditional_vae", "m1m2", "factor_vae", "equations"),
}


@pytest.mark.parametrize(
    "name", [name if name in _EACH_KIND else pytest.param(name, marks=pytest.mark.slow) for name in config_names()]
)
def test_quick_tries_any_config_and_leaves_a_whole_run(name: str, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    assert main(["train", name, "--quick", "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    if load_config(name).model.posterior in ("point", "unit_point"):
        # A deterministic encoder gives no log p(x), but its codes are looked at.
        assert "test log p(x" not in printed
        assert "reconstruction" in printed
    else:
        named = {"conditional": "test log p(x | y)", "vq": "test bound"}
        assert named.get(load_config(name).system, "test log p(x)") in printed
    assert "stand-in" in printed
    assert json.loads((out / "evaluation.json").read_text())["dataset"].endswith("(stand-in)")
    assert (out / "config.json").is_file()
    assert len((out / "metrics.jsonl").read_text().splitlines()) == 2
    assert list((out / "checkpoints").iterdir())
    assert (out / "pictures" / "training_curve.png").is_file()


def test_a_switch_that_is_on_can_be_put_off(tmp_path) -> None:
    _check_flags("vae-jax train zinc", ["--no-skip-strings"], _TrainOptions)
    with pytest.raises(ConfigError, match="no field --no-epochs"):
        _check_flags("vae-jax train zinc", ["--no-epochs"], _TrainOptions)


def test_fields_are_flags(tmp_path, capsys) -> None:
    out = tmp_path / "run"
    flags = [
        "--quick",
        "--epochs",
        "1",
        "--latent-size",
        "3",
        "--bound",
        "renyi",
        "--alpha",
        "0.3",
        "--hidden",
        "8",
        "9",
    ]
    assert main(["train", "digits", "--out", str(out), *flags]) == 0
    config = json.loads((out / "config.json").read_text())
    assert config["train"]["epochs"] == 1
    assert config["model"]["latent_size"] == 3
    assert config["model"]["hidden"] == [8, 9]
    assert config["objective"]["alpha"] == 0.3
    capsys.readouterr()


def test_the_default_directory_is_numbered(tmp_path) -> None:
    for expected in ("curve", "curve-2", "curve-3"):
        directory = _free_directory(tmp_path / "curve")
        assert directory.name == expected
        directory.mkdir()


def test_evaluate_sample_encode_resume(run, capsys) -> None:
    assert main(["evaluate", str(run), "--k", "7", "--ais", "3", "--temperatures", "20"]) == 0
    found = json.loads((run / "evaluation.json").read_text())
    assert (found["k"], found["ais_examples"], found["ais_temperatures"]) == (7, 3, 20)
    printed = capsys.readouterr().out
    assert "BDMC gap" in printed
    assert "index code" in printed
    assert main(["compare", str(run), "--picture", str(run / "curves.png")]) == 0
    assert (run / "curves.png").is_file()
    assert "log p(x)" in capsys.readouterr().out
    assert main(["sample", str(run), "--count", "5"]) == 0
    assert np.load(run / "samples.npz")["x"].shape[0] == 5
    assert main(["encode", str(run), "digits"]) == 0
    assert np.load(run / "codes.npz")["mean"].shape == (1797, 2)
    before = (run / "evaluation.json").read_text()
    assert main(["resume", str(run)]) == 0
    assert "is finished and evaluated already" in capsys.readouterr().out
    assert (run / "evaluation.json").read_text() == before
    assert {"step", "num_steps", "parameters_of_epoch", "likelihood", "levels"} <= set(json.loads(before))
    # An evaluation of an earlier time in the run is not the final one.
    early = json.loads((run / "evaluation.json").read_text()) | {"step": 1}
    (run / "evaluation.json").write_text(json.dumps(early))
    assert main(["resume", str(run)]) == 0
    assert json.loads((run / "evaluation.json").read_text())["step"] == 36
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["fly"], "no command 'fly'; there are train, resume"),
        (["train"], "name a config first: vae-jax train CONFIG. There are adversarial_autoencoder, aevb, aevb_frey"),
        (["train", "digts"], "no config 'digts'. Did you mean digits"),
        (["train", "digits", "--dataset", "mnits"], "unknown dataset 'mnits'. Did you mean mnist"),
        (
            ["train", "mnist", "--data-dir", "/nonexistent"],
            "the folder /nonexistent/mnist does not exist. Name another",
        ),
        (["train", "digits", "--binarisation", "none"], "a bernoulli likelihood is for bits"),
        (["train", "digits", "--num-samples", "0"], "--num-samples must be greater than 0, got 0"),
        (["train", "digits_conv", "--hidden", "4", "4", "4", "4"], "sides must be multiples of 16"),
        (["train", "digits", "--learning-rat", "0.1"], "no field --learning-rat. Did you mean --learning-rate"),
        (["train", "digits", "--weight-decay", "0.5"], "--weight-decay has no effect with adam"),
        (["train", "digits", "--system", "system"], "no system 'system'"),
        (["train", "digits", "--data-seed", "-1"], "--data-seed must be at least 0, got -1"),
        (["train", "digits", "--levels", "3"], "--levels 3 does not fit digits, which holds counts up to 16"),
        (["configs", "foo"], "configs takes no arguments, got foo"),
        (["resume", "/nonexistent"], "/nonexistent holds no run"),
        (["evaluate", "/nonexistent"], "/nonexistent holds no run"),
        (["evaluate", "/nonexistent", "--ais", "-1"], "--ais must be at least 0, got -1"),
        (["evaluate", "/nonexistent", "--temperatures", "0"], "--temperatures must be at least 1, got 0"),
        (["compare"], "name the runs to compare: vae-jax compare RUN RUN"),
        (["compare", "/nonexistent"], "/nonexistent holds no run"),
        (["train", "digits", "--average-decay", "1.0"], "--average-decay must be at least 0 and below 1, got 1.0"),
        (
            ["train", "digits", "--patience", "3", "--validation-size", "0"],
            "--patience 3 waits for a better validation",
        ),
    ],
)
def test_mistakes_get_one_clear_line(arguments, message: str, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) != 0
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_run_can_be_used_from_another_folder(tmp_path, monkeypatch, capsys) -> None:
    x = np.random.default_rng(0).integers(0, 17, (20, 4, 4)).astype(np.uint8)
    (tmp_path / "there").mkdir()
    np.save(tmp_path / "there" / "mine.npy", x)
    monkeypatch.chdir(tmp_path / "there")
    flags = ["--dataset", "mine.npy", "--levels", "16", "--out", "run (1)", "--epochs", "1"]
    assert main(["train", "digits", "--quick", *flags]) == 0
    monkeypatch.chdir(tmp_path)
    assert main(["encode", "there/run (1)", "there/mine.npy"]) == 0
    result = json.loads((tmp_path / "there" / "run (1)" / "evaluation.json").read_text())
    assert result["levels"] == 16
    assert result["num_steps"] == 1
    capsys.readouterr()


def test_evaluating_again_overwrites_nothing_when_it_fails(run, capsys) -> None:
    before = (run / "evaluation.json").read_text() if (run / "evaluation.json").exists() else None
    assert main(["evaluate", str(run), "--k", "0"]) == 1
    assert main(["evaluate", str(run), "--epoch", "2"]) == 1
    after = (run / "evaluation.json").read_text() if (run / "evaluation.json").exists() else None
    assert before == after
    assert "--evaluation-samples must be greater than 0" in capsys.readouterr().err


def test_help(capsys) -> None:
    assert main([]) == 2
    assert main(["--help"]) == 0
    for command in ("train", "sweep"):
        assert main([command, "--help"]) == 0
    assert "usage: vae-jax" in capsys.readouterr().out
