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
    #: What the load generator noticed of itself without doubting the result.
    notes: list[str] = field(default_factory=list)
    #: Why there are no figures, or none to be believed: medians, ratios and comparisons leave the row out.
    failed: str | None = None
    #: Which invocation it is of, where results of several are together; a file has one.
    run: int = 0


@dataclass(frozen=True)
class Spread:
    """A figure over all rounds."""

    middle: float
    least: float
    most: float


@dataclass
class Records:
    """All measurements."""

    #: What holds for all of them.
    facts: dict
    #: What tables show.
    rows: list[Row] = field(default_factory=list)
    #: Those of which a newer invocation has others: what was measured beside them is compared with them.
    measured_again: list[Row] = field(default_factory=list)
    #: The facts of each invocation, oldest first.
    runs: list[dict] = field(default_factory=list)

    def of(self, work: str, server: str | None = None, **case) -> list[Row]:
        """Rows of a piece of work whose case has these values."""
        return select(self.rows, work, server, case)

    def of_run(self, run: int, work: str, server: str, **case) -> list[Row]:
        """The same of one invocation, whether shown or not."""
        return [row for row in select(self.rows + self.measured_again, work, server, case) if row.run == run]

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
        """Of two servers' figures: computed within each round of an invocation, then the median of the rounds."""
        ratios = []
        for row in self.of(work, server, **case):
            for other in self.of_run(row.run, work, to, **case):
                mine, theirs = row.figures.get(figure), other.figures.get(figure)
                if other.round == row.round and mine is not None and theirs and not (row.failed or other.failed):
                    ratios.append(mine / theirs)
        return spread(ratios)

    def write(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = [{name: value for name, value in asdict(row).items() if name != "run"} for row in self.rows]
        whole = {"schema": SCHEMA, **self.facts, "rows": rows}
        path.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> "Records":
        try:
            whole = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise SystemExit(f"bench/compare: {path} cannot be read: {error}") from error
        schema = whole.pop("schema", None) if isinstance(whole, dict) else None
        if schema != SCHEMA:
            raise SystemExit(f"bench/compare: {path} is of {schema}, not of {SCHEMA}")
        return cls(rows=[Row(**row) for row in whole.pop("rows")], facts=whole)


def select(rows: list[Row], work: str, server: str | None, case: dict) -> list[Row]:
    return [
        row
        for row in rows
        if row.work == work and server in (None, row.server) and all(row.case.get(key) == value for key, value in case.items())
    ]


def spread(values: Iterable[float | None]) -> Spread | None:
    known = [value for value in values if value is not None]
    return Spread(median(known), min(known), max(known)) if known else None


#: Told of each measurement as it is made.
Say = Callable[[str], None]
