"""The columns of a table and what each is taken for, before a model is trained on them."""

from collections.abc import Mapping

from rich.table import Table

from vae_jax.data.columns import FAMILIES, SKIPPED, Proposal


def column_table(proposals: Mapping[str, Proposal]) -> Table:
    """A row for each column. What it is taken for can be changed by a flag."""
    table = Table(
        title="columns",
        caption=f"To change one: --columns NAME=FAMILY, of {', '.join(FAMILIES)}, or {SKIPPED}",
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("column", "taken for", "since it holds"):
        table.add_column(heading)
    for name, found in proposals.items():
        table.add_row(name, "left out" if found.family == SKIPPED else found.family, found.reason)
    return table
