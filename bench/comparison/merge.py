"""Results of several invocations as one. What is compared stays within an invocation."""

from pathlib import Path

from .records import Records, Row

#: Of the machine's facts, what may differ between results that are put together.
OF_A_TREE = ("revision", "changed")


def merged(paths: list[Path]) -> Records:
    """Oldest first; of one age, as they were named. The newest that has measured a server in a case is what tables show of it."""
    files = sorted(((path, Records.read(path)) for path in paths), key=lambda file: file[1].facts["date"])
    for path, records in files[1:]:
        refuse_other_machine(files[0], (path, records))
    everything = [numbered(row, run) for run, (_, records) in enumerate(files) for row in records.rows]
    newest = {key(row): row.run for row in everything}
    runs = [records.facts for _, records in files]
    return Records(
        facts_of(runs),
        rows=[row for row in everything if newest[key(row)] == row.run],
        measured_again=[row for row in everything if newest[key(row)] != row.run],
        runs=runs,
    )


def key(row: Row) -> tuple:
    return row.work, row.server, tuple(sorted(row.case.items()))


def numbered(row: Row, run: int) -> Row:
    row.run = run
    return row


def refuse_other_machine(one: tuple[Path, Records], other: tuple[Path, Records]):
    mine, theirs = (records.facts["machine"] for _, records in (one, other))
    names = sorted((mine.keys() | theirs.keys()) - set(OF_A_TREE))
    if differing := [f"{name} {mine.get(name)} and {theirs.get(name)}" for name in names if mine.get(name) != theirs.get(name)]:
        raise SystemExit(f"bench/compare: {one[0]} and {other[0]} are of different machines: {', '.join(differing)}")


def facts_of(runs: list[dict]) -> dict:
    """What all have together. A server whose version differs has each of them."""
    servers: dict[str, dict] = {}
    for run in sorted(runs, key=lambda run: -len(run["servers"])):
        for name, one in run["servers"].items():
            known = servers.setdefault(name, dict(one))
            if one["version"] not in known["version"].split("; "):
                known["version"] += f"; {one['version']}"
    titles = {one["title"] for one in servers.values()}
    absent = {title: why for run in runs for title, why in run["absent"].items() if title not in titles}
    return {"machine": runs[-1]["machine"], "servers": servers, "absent": absent}
