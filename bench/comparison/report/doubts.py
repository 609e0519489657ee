"""What a reader has to know before believing a number."""

from collections.abc import Iterable

from ..records import Records, Row
from .table import number

#: Doubts of the load generator told, at most: the raw results have all. What failed is told in full.
SHOWN_MAX = 20


def all_of(records: Records) -> list[str]:
    """Failed measurements, and those the load generator says measured itself."""
    several = len(records.runs) > 1
    failed = told(((row, f"failed: {row.failed}{seen(row)}") for row in records.rows if row.failed), several)
    doubted = told(((row, words) for row in records.rows if not row.failed for words in row.remarks), several)
    if len(doubted) > SHOWN_MAX:
        doubted = [*doubted[:SHOWN_MAX], f"and {len(doubted) - SHOWN_MAX} more: in the raw results"]
    return failed + doubted


def seen(row: Row) -> str:
    """The figures of what failed: shown, and in no table."""
    figures = ", ".join(f"{name} {number(value)}" for name, value in row.figures.items() if value is not None)
    return f"; left out of the tables: {figures}" if figures else ""


def told(doubts: Iterable[tuple[Row, str]], several: bool) -> list[str]:
    """A line for each, the rounds it is said of together."""
    lines: dict[str, list[str]] = {}
    for row, words in doubts:
        when = f"{row.round + 1} of run {row.run + 1}" if several else f"{row.round + 1}"
        where = f"{row.server}, {row.work} " + ", ".join(f"{key} {value}" for key, value in row.case.items())
        lines.setdefault(f"{where}: {words}", []).append(when)
    return [f"{line} (round {', '.join(rounds)})" for line, rounds in lines.items()]
