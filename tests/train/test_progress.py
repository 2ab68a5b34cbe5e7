import io

from rich.console import Console

from vae_jax.train.progress import Display


def show(console: Console) -> None:
    with Display(console, start=0, steps=40, per_epoch=10, batch_size=100) as display:
        for step, held_out in ((5, {}), (10, {"bound": -5.678}), (40, {"bound": -5.678})):
            rate = display.update(step, metrics={"loss": 9.9, "bound": -1.234}, learning_rate=1e-3, validation=held_out)
            assert rate > 0


def test_plain_lines_where_there_is_no_terminal() -> None:
    text = io.StringIO()
    show(Console(file=text, width=80))
    (line,) = text.getvalue().splitlines()
    assert line.startswith("epoch 4/4  bound -1.234  (validation -5.678)  lr 1.0e-03")
    assert "examples/s  0 s left" in line


def test_a_live_line_on_a_terminal() -> None:
    text = io.StringIO()
    show(Console(file=text, width=120, force_terminal=True))
    assert "4/4" in text.getvalue()
    assert "validation -5.678" in text.getvalue()
