import io

from rich.console import Console

from vae_jax.data.columns import Proposal
from vae_jax.report.columns import column_table


def test_each_column_is_shown_with_its_reason_and_the_flag() -> None:
    console = Console(file=io.StringIO(), width=100)
    found = {"age": Proposal("reals", "0.5 to 90"), "id": Proposal("skip", "the number of the row")}
    console.print(column_table(found))
    text = console.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    for words in ("age", "reals", "0.5 to 90", "left out", "--columns NAME=FAMILY"):
        assert words in text
