"""Formats tables, percentages and sizes for README and docs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def percent(share: float, interval: Sequence[float] | None = None, *, digits: int = 1) -> str:
    """Returns "86.6 %", or with its interval "86.6 % (85.4 to 87.8)"."""
    text = f"{100 * share:.{digits}f} %"
    if interval is None:
        return text
    low, high = interval
    return f"{text} ({100 * low:.{digits}f} to {100 * high:.{digits}f})"


def byte_size(megabytes: float) -> str:
    """Returns "443 MB", or from 1000 on "1.3 GB"."""
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


def table(head: Sequence[str], rows: Iterable[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    """Returns a Markdown table with the columns `left` aligned left."""
    rule = "|".join("---" if column in left else "---:" for column in range(len(head)))
    lines = [f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join([f"| {' | '.join(head)} |", *lines]).replace("|  |", "| |") + "\n"
