"""Lines with numbers in them, written from templates."""

from collections.abc import Mapping
from string import Formatter
from typing import Any

import numpy as np

# What names a field, in a template that is written once for each number of a list.
_Fields = list[tuple[str, str | None, str | None]]


def fill(template: str, values: Mapping[str, Any]) -> str | None:
    """`"{rate:.2f} nats"` with the numbers of `values`; None where one of them was not measured.

    Where fields are lists, one number for each layer, so is what is written: `"{active} of {size}"` becomes
    "25 of 50 + 3 of 20". What is no number (NaN, or null in a file) is "not known".
    """
    parts = [(text, field, form) for text, field, form, _ in Formatter().parse(template)]
    fields = [field for _, field, _ in parts if field is not None]
    if any(field not in values for field in fields):
        return None
    lengths = {len(values[field]) for field in fields if np.ndim(values[field])}
    if not lengths:
        return _written(parts, values)
    rows = [
        {field: values[field][i] if np.ndim(values[field]) else values[field] for field in fields}
        for i in range(max(lengths))
    ]
    return " + ".join(_written(parts, row) for row in rows)


def _written(parts: _Fields, values: Mapping[str, Any]) -> str:
    return "".join(text + ("" if field is None else _number(values[field], form or "")) for text, field, form in parts)


def _number(value: Any, form: str) -> str:
    # Only what is no number differs from itself.
    return "not known" if value is None or value != value else format(value, form)
