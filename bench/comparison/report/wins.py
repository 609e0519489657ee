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
        for duel in duels(records, figure.work, figure.name, dict(case)):
            if duel.theirs > duel.ours if figure.more else duel.theirs < duel.ours:
                values = f"{number(duel.theirs)}, epush {number(duel.ours)}"
                lines.append(f"{duel.peer}, {figure.words}: {values} ({case_words(dict(case))}{duel.remark})")
    return lines


@dataclass(frozen=True)
class Duel:
    """A figure of a peer, and of epush in the same case: medians."""

    peer: str
    theirs: float
    ours: float
    #: Where they were not measured together.
    remark: str


def duels(records: Records, work: str, figure: str, case: dict) -> list[Duel]:
    """Of every peer with epush in the peer's own run; with another of epush's only where that has none."""
    found = []
    for name in bar.peers(records, work):
        rows = records.of(work, name, **case)
        run = rows[0].run if rows else 0
        together = [row for row in records.of_run(run, work, "epush", **case) if not row.failed]
        theirs = records.spread(rows, figure)
        ours = records.spread(together or records.of(work, "epush", **case), figure)
        if ours and theirs:
            remark = "" if together else ", not in the same run"
            found.append(Duel(records.facts["servers"][name]["title"], theirs.middle, ours.middle, remark))
    return found


def case_words(case: dict) -> str:
    forms = {
        "subscribers": lambda value: f"{count(value)} subscribers",
        "payload_bytes": size,
        "at_once": lambda value: f"{value} at once",
        "connections": lambda value: f"{count(value)} connections",
        "half_of": lambda value: f"at half of the most of {value}",
    }
    return ", ".join(forms[key](case[key]) for key in forms if key in case)
