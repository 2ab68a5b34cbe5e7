from rich.console import Console

from tests.runs import measured
from vae_jax.measure.likelihood import LIKELIHOOD
from vae_jax.measure.subject import subject_of
from vae_jax.report.panel import panel


def test_the_panel_says_what_each_error_is_of(digits) -> None:
    run, state = digits
    console = Console(width=150, record=True)
    console.print(panel(subject_of(run, state), measured(run, state, LIKELIHOOD), [LIKELIHOOD]))
    text = console.export_text()
    for part in ("nats per example", "k = 10", "Monte Carlo", "test examples", "seeds", "active units", "pictures"):
        assert part in text
