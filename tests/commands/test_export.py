"""`vae-jax export`."""

from vae_jax.cli import main


def test_a_run_is_exported_beside_itself(digits, capsys) -> None:
    directory = digits[0].directory
    assert main(["export", str(directory), "--k", "2"]) == 0
    assert {path.name for path in (directory / "export").iterdir()} >= {"encode.jaxexport", "README.md"}
    assert main(["export", str(directory), "--k", "0"]) == 1
    assert "--k must be at least 1" in capsys.readouterr().err
