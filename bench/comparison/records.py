"""Raw results, and medians, spreads and ratios of them."""

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

SCHEMA = "epush-compare/1"


@dataclass
class Row:
    """One measurement of one server in one round."""

    round: int
    work: str
    server: str
    case: dict
    figures: dict
    #: Why the load generator, or the comparison, doubts it.
    remarks: list[str] = field(default_factory=list)
    #: Why there are no figures, or none to be believed: medians, ratios and comparisons leave the row out.
    failed: str | None = None


@dataclass(frozen=True)
class Spread:
    """A figure over all rounds."""

    middle: float
    least: float
    most: float


@dataclass
class Records:
    """All measurements."""

    facts: dict
    rows: list[Row] = field(default_factory=list)

    def of(self, work: str, server: str | None = None, **case) -> list[Row]:
        """Rows of a piece of work whose case has these values."""
        return [
            row
            for row in self.rows
            if row.work == work and server in (None, row.server) and all(row.case.get(key) == value for key, value in case.items())
        ]

    def cases(self, work: str, *keys: str) -> list[tuple]:
        """The cases there are, smallest first."""
        return sorted({tuple(row.case.get(key) for key in keys) for row in self.of(work)})

    def servers(self, work: str) -> list[str]:
        """Those that did this work, in the comparison's order."""
        present = {row.server for row in self.of(work)}
        return [name for name in self.facts["servers"] if name in present]

    def spread(self, rows: Iterable[Row], figure: str) -> Spread | None:
        """Of the rows that did not fail: what went wrong is no measurement, whatever it has figures of."""
        return spread(row.figures.get(figure) for row in rows if not row.failed)

    def ratio(self, work: str, server: str, to: str, figure: str, **case) -> Spread | None:
        """Of two servers' figures: computed within each round, then the median of the rounds."""
        ratios = []
        for row in self.of(work, server, **case):
            for other in self.of(work, to, **case):
                mine, theirs = row.figures.get(figure), other.figures.get(figure)
                if other.round == row.round and mine is not None and theirs and not (row.failed or other.failed):
                    ratios.append(mine / theirs)
        return spread(ratios)

    def write(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = {"schema": SCHEMA, **self.facts, "rows": [asdict(row) for row in self.rows]}
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Records":
        whole = json.loads(path.read_text())
        if whole.pop("schema") != SCHEMA:
            raise SystemExit(f"bench/compare: {path} is not of {SCHEMA}")
        return cls(rows=[Row(**row) for row in whole.pop("rows")], facts=whole)


def spread(values: Iterable[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return Spread(median(known), min(known), max(known)) if known else None


#: Told of each measurement as it is made.
Say = Callable[[str], None]
