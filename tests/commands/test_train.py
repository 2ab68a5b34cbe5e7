"""`vae-jax train`, `resume` and `sweep`: what they leave in a directory, and what they refuse."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from vae_jax.cli import main
from vae_jax.commands.train import _check_flags, _TrainOptions
from vae_jax.config.files import config_names, load_config
from vae_jax.config.naming import description_of
from vae_jax.config.trial import quick
from vae_jax.core.errors import ConfigError
from vae_jax.train.files import is_sweep


# The others are trained in the tests of what they are made of, and of images in those of the pages. They run with
# `pytest -m slow`.
@pytest.mark.parametrize(
    "name", [name if name == "curve" else pytest.param(name, marks=pytest.mark.slow) for name in config_names()]
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
    evaluation = json.loads((out / "evaluation.json").read_text())
    assert evaluation["dataset"].endswith("(stand-in)")
    assert evaluation["evaluated_examples"] <= 100
    assert evaluation.get("k", 0) <= 25
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


def test_a_sweep_leaves_numbers_pictures_and_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sweep"
    arguments = ["sweep", "tc_vae", "--quick", "--over", "objective.beta=1,8", "--seeds", "2", "--epochs", "1"]
    small = ["--hidden", "16", "--latent-size", "3", "--out", str(out)]
    assert main([*arguments, *small]) == 0
    printed = capsys.readouterr().out
    assert "beta=1" in printed
    assert "means over 2 seeds" in printed
    assert is_sweep(out)
    found = json.loads((out / "evaluation.json").read_text())
    assert [member["member"] for member in found["members"]] == [
        "beta=1,seed=0",
        "beta=1,seed=1",
        "beta=8,seed=0",
        "beta=8,seed=1",
    ]
    first = found["members"][0]
    assert first["elbo"] == pytest.approx(-first["rate"] - first["distortion"], abs=1.0)
    assert {path.name for path in (out / "pictures").iterdir()} == {
        "curves.png",
        "scores-beta.png",
        "traversals-beta=1.png",
        "traversals-beta=8.png",
    }
    assert main(["resume", str(out)]) == 0
    assert "finished and evaluated already" in capsys.readouterr().out
    assert main(["evaluate", str(out / "members" / "beta=1,seed=0"), "--k", "10", "--gaps", "0"]) == 0
    alone = json.loads((out / "members" / "beta=1,seed=0" / "evaluation.json").read_text())
    # The same code, so the same numbers; and evaluated with another k the others stay.
    for name in ("rate", "distortion", "active_units", "kl_per_dimension", "reconstruction_error", "probe_accuracy"):
        np.testing.assert_allclose(alone[name], first[name], rtol=1e-5, err_msg=name)
    assert main([*arguments, *small]) == 1
    assert "already holds a run" in capsys.readouterr().err


_OTHER_PARTS = {
    "directions": ("--posterior", "sphere", "--estimator", "dreg", "--latent-size", "3"),
    "relaxed choices": ("--posterior", "concrete", "--estimator", "analytic", "--bound", "elbo"),
    "counts": ("--likelihood", "binomial", "--binarisation", "none", "--posterior", "iaf", "--prior", "vamp"),
    "pixels": ("--autoregressive-layers", "1", "--likelihood", "logistic", "--binarisation", "none"),
    "a constraint": ("--estimator", "analytic", "--bound", "elbo", "--most-distortion", "22", "--patience", "None"),
}


# A loss with a parameter of its own; the others run with `pytest -m slow`.
_SEEN_OTHERWISE = ("a constraint",)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(_OTHER_PARTS[name], id=name, marks=() if name in _SEEN_OTHERWISE else pytest.mark.slow)
        for name in _OTHER_PARTS
    ],
)
def test_a_run_of_other_parts(options: tuple[str, ...], tmp_path: Path, capsys) -> None:
    run = tmp_path / "run"
    arguments = ["train", "digits", "--quick", "--num-samples", "3", "--out", str(run), *options]
    # A small model, and no option twice: the last one counts.
    assert main([*arguments, "--hidden", "16", "--prior-components", "5", "--flow-layers", "2"]) == 0
    result = json.loads((run / "evaluation.json").read_text())
    assert np.isfinite(result["log_marginal"])
    assert result["log_marginal"] < 0
    assert {path.stem for path in (run / "pictures").iterdir()} >= {"latent", "samples", "reconstructions"}
    assert main(["sample", str(run), "--count", "4"]) == 0
    x = np.load(run / "samples.npz")["x"]
    assert x.shape == (4, 8, 8, 1)
    assert x.max() <= (16 if "none" in options else 1)
    lines = (run / "metrics.jsonl").read_text().splitlines()
    assert ("beta" in json.loads(lines[-1])["train"]) == ("--most-distortion" in options)


def test_resume_leaves_a_finished_run_alone_but_for_an_evaluation_of_earlier(run, capsys) -> None:
    # Measured now, unless another test has asked for it.
    assert main(["resume", str(run)]) == 0
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
        (["train", "digits", "--lr", "0.1"], "no field --lr. Did you mean --learning-rate?"),
        (["train", "digits", "--gpus", "8"], "no field --gpus. Did you mean --mesh?"),
        (["train", "digits", "--name", "mine"], "no field --name. Did you mean --out?"),
        (["train", "digits", "--weight-decay", "0.5"], "--weight-decay has no effect with adam"),
        (["train", "digits", "--system", "system"], "no system 'system'"),
        (["train", "digits", "--data-seed", "-1"], "--data-seed must be at least 0, got -1"),
        (["train", "digits", "--levels", "3"], "--levels 3 does not fit digits, which holds counts up to 16"),
        (["train", "digits", "--average-decay", "1.0"], "--average-decay must be at least 0 and below 1, got 1.0"),
        (
            ["train", "digits", "--patience", "3", "--validation-size", "0"],
            "--patience 3 waits for a better validation",
        ),
        (["resume", "/nonexistent"], "/nonexistent holds no run"),
        (
            ["sweep", "digits", "--over", "beta=1,2", "--over", "learning_rate=1e-3,1e-2"],
            "--over is given 2 times, and the first would be lost: give all once.",
        ),
        (["train", "digits", "--hidden", "16", "--hidden=32"], "--hidden is given 2 times"),
    ],
)
def test_mistakes_get_one_clear_line(arguments, message: str, refusal) -> None:
    assert message in refusal(*arguments)


@pytest.mark.parametrize("command", [("train", "digits"), ("sweep", "digits", "--over", "objective.beta=1,2")])
def test_a_measurement_that_is_not_there_leaves_nothing_behind(refusal, command: tuple[str, ...]) -> None:
    assert "there is no Python file" in refusal(*command, "--quick", "--measurements", "nowhere.py")


def test_the_first_line_says_what_is_trained() -> None:
    config = load_config("mnist")
    elsewhere = dataclasses.replace(config, data=dataclasses.replace(config.data, data_dir="elsewhere"))
    assert description_of(elsewhere, "mnist") == config.description
    assert description_of(quick(config), "mnist") == config.description
    own = dataclasses.replace(config, data=dataclasses.replace(config.data, dataset="own.npz", levels=4))
    own = dataclasses.replace(own, model=dataclasses.replace(own.model, hidden=(8, 9)))
    assert description_of(own, "mnist") == "mnist with --dataset own.npz --levels 4 --hidden 8 9"


def test_help_shows_what_the_system_reads_and_all_of_it_where_asked(capsys) -> None:
    assert main(["train", "digits", "--help"]) == 0
    few = capsys.readouterr().out
    assert main(["train", "digits", "--help-all"]) == 0
    everything = capsys.readouterr().out
    for flag in ("--latent-size", "--beta ", "--epochs", "--quick"):
        assert flag in few
        assert flag in everything
    assert "--codebook-size" not in few
    assert "--codebook-size" in everything
    # What every system reads of a section of which it reads nothing else.
    assert "--labelled" in few
    assert "--label-batch" not in few
    assert " flags that --system vae does not read. All: --help-all" in few
    assert main(["train", "vq_vae", "--help"]) == 0
    assert "--mesh" in capsys.readouterr().out
    assert main(["sweep", "vq_vae", "--help"]) == 0
    shown = capsys.readouterr().out
    assert "--codebook-size" in shown
    assert "--over" in shown


def test_a_run_whose_first_step_diverges_leaves_its_directory_free(tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("wide.npz", x=np.random.default_rng(0).normal(size=(60, 3)) * 1e30)
    flags = ["--binarisation", "none", "--likelihood", "normal", "--hidden", "4", "--batch-size", "16", "--epochs", "1"]
    flags += ["--dataset", "wide.npz", "--out", "run", "--evaluation-samples", "5"]
    with pytest.warns(UserWarning, match="standard deviations"):
        assert main(["train", "vae", *flags, "--standardise", "False"]) == 1
    assert "look at the step: vae-jax debug run" in capsys.readouterr().err
    assert main(["train", "vae", *flags]) == 0
