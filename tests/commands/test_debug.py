import pytest

from tests.runs import changed, console, experiment
from vae_jax.cli import main
from vae_jax.train.loop import TrainingError, train
from vae_jax.train.run import create, newest_state, open_run

CURVE = experiment("curve", epochs=1, chunk_seconds=0.01)


def test_debug_shows_the_step_and_the_directory_is_free_again(tmp_path, capsys) -> None:
    config = changed(CURVE, "optimizer", optimizer="sgd", learning_rate=1e20)
    run = create(config, tmp_path / "run")
    with pytest.raises(TrainingError, match="--clip-norm 10"):
        train(run, console())
    assert main(["debug", str(run.directory)]) == 1
    shown = capsys.readouterr().out
    for part in ("not finite", "rows of the training split", "log p(x | z)", "largest absolute value"):
        assert part in shown
    with pytest.raises(TrainingError, match="is not finite"):
        train(open_run(run.directory), console())
    again = create(CURVE, tmp_path / "run")
    assert newest_state(again) is None
    assert main(["debug", str(run.directory)]) == 0
    assert "all of it is finite" in capsys.readouterr().out
