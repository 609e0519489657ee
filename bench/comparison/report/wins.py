"""Every row where a peer beats epush: nothing is left out."""

from dataclasses import dataclass

from ..records import Records
from . import bar
from .table import count, number, size


@dataclass(frozen=True)
class Figure:
    """Something that is compared."""

    work: str
    name: str
    words: str
    #: Whether more is better.
    more: bool = False


FIGURES = [
    Figure("fanout", "cpu_us", "processor a delivery, µs"),
    Figure("fanout", "deliveries_per_s", "deliveries a second", more=True),
    Figure("latency", "p50_ms", "p50, ms"),
    Figure("latency", "p99_ms", "p99, ms"),
    Figure("latency", "p999_ms", "p99.9, ms"),
    Figure("echo", "cpu_us", "processor an echo, µs"),
    Figure("echo", "echoes_per_s", "echoes a second", more=True),
    Figure("echo", "p50_ms", "echo p50, ms"),
    Figure("echo", "p99_ms", "echo p99, ms"),
    Figure("idle", "bytes", "bytes an idle connection"),
    Figure("storm", "cpu_us", "processor a connection, µs"),
    Figure("storm", "connects_per_s", "connections a second", more=True),
]


def all_of(records: Records) -> list[str]:
    """A line for each, medians of all rounds."""
    return [line for figure in FIGURES for line in of_figure(records, figure)]


def of_figure(records: Records, figure: Figure) -> list[str]:
    lines = []
    cases = {tuple(sorted(row.case.items())) for row in records.of(figure.work, "epush")}
    for case in sorted(cases, key=str):
        ours = records.spread(records.of(figure.work, "epush", **dict(case)), figure.name)
        for name in bar.peers(records, figure.work):
            theirs = records.spread(records.of(figure.work, name, **dict(case)), figure.name)
            if ours and theirs and (theirs.middle > ours.middle if figure.more else theirs.middle < ours.middle):
                who = records.facts["servers"][name]["title"]
                values = f"{number(theirs.middle)}, epush {number(ours.middle)}"
                lines.append(f"{who}, {figure.words}: {values} ({case_words(dict(case))})")
    return lines


def case_words(case: dict) -> str:
    forms = {
        "subscribers": lambda value: f"{count(value)} subscribers",
        "payload_bytes": size,
        "at_once": lambda value: f"{value} at once",
        "connections": lambda value: f"{count(value)} connections",
        "half_of": lambda value: f"at half of the most of {value}",
    }
    return ", ".join(forms[key](case[key]) for key in forms if key in case)
