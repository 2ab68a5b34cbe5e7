"""`vae-jax debug`: the next step of a run, looked at number by number."""

from rich.console import Console

from vae_jax.commands.parse import RunPath, parse


def debug_command(arguments: list[str], console: Console) -> int:
    """Look at the step that stopped a run."""

    def debug(run: RunPath) -> int:
        """Take the step after the newest checkpoint again and show what it computes: the loss and its terms, and how
        large the parameters and the gradient are. A run that stopped since a step was not finite keeps the state
        before it. Writes nothing; the exit status is 1 where something is not finite.

        Args:
            run: Directory of the run.
        """
        from vae_jax.report.step import step_report
        from vae_jax.train.run import newest_state, open_run

        opened = open_run(run)
        state = newest_state(opened)
        examined = opened.examined((opened.begun(opened.initial()) if state is None else state).train)
        console.print(step_report(examined))
        return 0 if examined.finite else 1

    return parse("debug", debug, arguments)
