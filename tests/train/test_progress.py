import io

from rich.console import Console

from vae_jax.train.progress import Display, bar


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


def test_an_epoch_is_printed_once_unless_it_takes_long(monkeypatch) -> None:
    seconds = iter([0.0, *range(1, 100)])
    monkeypatch.setattr("vae_jax.train.progress.time.monotonic", lambda: float(next(seconds)))
    text = io.StringIO()
    with Display(Console(file=text, width=200), start=0, steps=80, per_epoch=40, batch_size=1) as display:
        for step in range(1, 81):
            display.update(step, metrics={"loss": 1.0}, learning_rate=1e-3, validation={})
    starts = [line.split("  ")[0] for line in text.getvalue().splitlines()]
    assert starts == ["epoch 1/2 at 75%", "epoch 1/2", "epoch 2/2 at 75%", "epoch 2/2"]


def test_a_long_measurement_says_how_far_it_is(monkeypatch) -> None:
    seconds = iter(range(0, 1000, 4))
    monkeypatch.setattr("vae_jax.train.progress.time.monotonic", lambda: float(next(seconds)))
    text = io.StringIO()
    with bar(Console(file=text, width=80), "log p(x)", 100) as show_done:
        for done in range(10, 101, 10):
            show_done(done)
    assert text.getvalue().splitlines()[0] == "log p(x): 30 of 100, 28 s left"
    assert len(text.getvalue().splitlines()) == 3


def test_a_live_line_on_a_terminal() -> None:
    text = io.StringIO()
    show(Console(file=text, width=120, force_terminal=True))
    assert "4/4" in text.getvalue()
    assert "validation -5.678" in text.getvalue()


def test_what_compiles_says_nothing_of_the_pace(monkeypatch) -> None:
    """The first chunk takes 20 s and the first validation 40, all else a second for each epoch of ten steps."""
    now = iter([0.0, 20.0, 60.0, 63.0, 66.0])
    monkeypatch.setattr("vae_jax.train.progress.time.monotonic", lambda: next(now))
    text = io.StringIO()
    with Display(Console(file=text, width=200), start=0, steps=400, per_epoch=10, batch_size=10) as display:
        for step, held_out in ((1, {}), (10, {"loss": 2.0}), (40, {"loss": 2.0}), (70, {"loss": 2.0})):
            display.update(step, metrics={"loss": 1.0}, learning_rate=None, validation=held_out)
    lines = text.getvalue().splitlines()
    assert lines == [
        "epoch 1/40  loss 1.000  (validation 2.000)",
        "epoch 4/40  loss 1.000  (validation 2.000)  100 examples/s  36 s left",
        "epoch 7/40  loss 1.000  (validation 2.000)  100 examples/s  33 s left",
    ]
