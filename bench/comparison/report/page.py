"""The generated part of docs/BENCHMARKS.md, and its charts. What people wrote around it stays."""

from pathlib import Path

from ..records import Records
from . import chart, doubts, missed, sections, wins
from .table import Table

BEGIN = "<!-- bench/compare: begin. Generated; what stands between here and the end is written over. -->"
END = "<!-- bench/compare: end -->"


def write(records: Records, page: Path):
    charts = chart.all_of(records)
    directory = page.parent / "benchmarks"
    directory.mkdir(parents=True, exist_ok=True)
    for name, drawing in charts.items():
        (directory / f"{name}.svg").write_text(drawing)
    text = page.read_text() if page.exists() else ""
    if BEGIN not in text:
        text = f"{text.rstrip()}\n\n{BEGIN}\n{END}\n"
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    page.write_text(f"{before}{BEGIN}\n{generated(records, list(charts))}\n{END}{after}")


def generated(records: Records, charts: list[str]) -> str:
    parts = ["## epush and its peers", intro(records), servers(records)]
    parts += [f"![{chart.TITLES[name]}](benchmarks/{name}.svg)" for name in charts]
    parts += [f"### {section.title}\n\n{section.about}\n\n{section.table.markdown()}" for section in sections.all_of(records)]
    won = wins.all_of(records) or ["Nowhere in these results."]
    parts.append("### Where a peer beats epush\n\nMedian against median, every row.\n\n" + bullets(won))
    missing = missed.all_of(records) or ["Nowhere in these results."]
    parts.append("### Where epush misses its own bar\n\nEvery row; the floor is no peer.\n\n" + bullets(missing))
    if told := doubts.all_of(records):
        parts.append("### To be doubted\n\nWhat failed, and what measured the load generator more than the server.\n\n" + bullets(told))
    return "\n\n".join(parts)


def intro(records: Records) -> str:
    host = records.facts["machine"]
    return (
        f"{runs(records.runs or [records.facts])}"
        f"{host['processor']}, {host['processors']} processors, {host['memory_gib']} GiB, {host['kernel']}, {host['system']}, "
        f"{host['compiler']}. Server and clients share them. "
        "Every server does the same work in turn, the order the other way around every other round; medians, and in parentheses least "
        "and most. The load is epush-loadgen's; the servers are in [bench/peers](../bench/peers), without compression, each as its "
        "documentation has it for speed. Plain servers broadcast the text that epush makes of a message, so as many bytes go out; "
        "Socket.IO and NATS frame the payload in their own way."
    )


def runs(facts: list[dict]) -> str:
    """How it was measured. Of several invocations each is told, and what was compared with what."""
    if len(facts) == 1:
        return f"    {facts[0]['command']}\n\n{circumstances(facts[0])}. "
    told = [f"run {number}, {circumstances(one)}: `{one['command']}`" for number, one in enumerate(facts, 1)]
    return (
        f"{len(facts)} runs, put together by `bench/compare --report`:\n\n{bullets(told)}\n\n"
        "What several of them measured is of the newest. Ratios are made within a run, and winners are sought there; where a server's "
        "numbers are of another run than epush's, its table says so, and charts have the same numbers. "
    )


def circumstances(facts: dict) -> str:
    machine = facts["machine"]
    changed = " with changes" if machine["changed"] else ""
    rounds = "1 round" if facts["rounds"] == 1 else f"{facts['rounds']} rounds"
    length = f"{rounds} in {facts['minutes']} minutes" if "minutes" in facts else f"ended before its {rounds} were done"
    return f"{facts['date']}, revision {machine['revision']}{changed}, {length}"


def servers(records: Records) -> str:
    table = Table(["server", "version", "threads", "know"])
    for one in records.facts["servers"].values():
        table.add(one["title"], one["version"], one["threads"], one["note"])
    absent = [f"{title} could not be had: {why}" for title, why in records.facts["absent"].items()]
    return table.markdown() + ("\n\n" + bullets(absent) if absent else "")


def bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
