"""`vae-jax impute` and `anomaly`: what a model says of each row of a table, or of each example."""

from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from vae_jax.commands.parse import RunPath, on_all_devices, opened, opened_model, parse

_Data = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]


def impute_command(arguments: list[str], console: Console) -> int:
    """Fill the gaps of a table."""

    def impute(
        run: RunPath, data: _Data, draws: int = 0, samples: int = 1000, seed: int = 0, out: Path | None = None
    ) -> int:
        """The table with its gaps filled, by a model of columns: a .csv or .parquet with the columns of the table.

        Args:
            run: Directory of the run.
            data: The table; its columns are those that the model was trained on.
            draws: Write so many completed tables, one after the other; by default one, of typical values.
            samples: Samples of z that are weighed for each row.
            seed: Seed of the samples.
            out: The file; by default RUN/imputed.csv.
        """
        from vae_jax.report.rows import write_imputed
        from vae_jax.train.files import IMPUTED

        file = out or run / IMPUTED
        path, gaps = write_imputed(opened_model(run), data=data, out=file, draws=draws, samples=samples, seed=seed)
        console.print(f"written: {path}, {gaps} gaps filled", soft_wrap=True)
        return 0

    return parse("impute", on_all_devices(impute), arguments)


def anomaly_command(arguments: list[str], console: Console) -> int:
    """Find strange examples."""

    def anomaly(
        run: RunPath,
        data: _Data,
        false_alarms: float = 0.05,
        samples: int = 100,
        seed: int = 0,
        data_dir: Path | None = None,
        out: Path | None = None,
    ) -> int:
        """A score of every example of DATA, -log p(x) in nats, and which are strange: a .csv or .parquet.

        Args:
            run: Directory of the run.
            data: A table, an .npz or .npy file, a folder of images, or a dataset by its name.
            false_alarms: Share of new ordinary examples that may be called strange, at most.
            samples: Samples of z for each score.
            seed: Seed of the samples.
            data_dir: Folder of prepared TFDS datasets; by default the run's.
            out: The file; by default RUN/anomalies.csv.
        """
        from vae_jax.report.rows import write_anomalies
        from vae_jax.train.files import ANOMALIES

        options = {"samples": samples, "false_alarms": false_alarms, "seed": seed}
        file = out or run / ANOMALIES
        path, threshold, strange = write_anomalies(opened(run), data=data, data_dir=data_dir, out=file, **options)
        console.print(f"{strange} strange, with a score above {threshold:.2f} nats\nwritten: {path}", soft_wrap=True)
        return 0

    return parse("anomaly", on_all_devices(anomaly), arguments)
