"""`vae-jax export`."""

import shutil

from vae_jax.cli import main


def test_a_run_is_exported_beside_itself(digits, capsys) -> None:
    directory = digits[0].directory
    assert main(["export", str(directory), "--k", "2"]) == 0
    assert {path.name for path in (directory / "export").iterdir()} >= {"encode.jaxexport", "README.md"}
    assert main(["export", str(directory), "--k", "0"]) == 1
    assert "--k must be at least 1" in capsys.readouterr().err


def test_what_was_measured_goes_with_it_though_the_data_may_be_gone(digits, tmp_path) -> None:
    shutil.copytree(digits[0].directory, tmp_path / "run")
    assert main(["evaluate", str(tmp_path / "run"), "--k", "5", "--gaps", "0"]) == 0
    assert main(["export", str(tmp_path / "run"), "--k", "2"]) == 0
    assert (tmp_path / "run" / "export" / "evaluation.json").is_file()
    assert "k = 5" in (tmp_path / "run" / "export" / "README.md").read_text()
