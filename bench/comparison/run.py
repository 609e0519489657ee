"""Rounds, turns, progress."""

import sys
import time
from datetime import UTC, datetime

from . import arguments, catalogue, child, machine, merge, work
from .arguments import Options
from .install import Missing
from .loadgen import Loadgen
from .records import Records
from .report import page, text
from .work.bench import Bench


def main() -> int:
    options = arguments.parse()
    child.interrupted_by_signals()
    try:
        return compare(options)
    except KeyboardInterrupt:
        print("bench/compare: interrupted; what was measured is in", options.results, file=sys.stderr)
        return 130


def compare(options: Options) -> int:
    records = merge.merged(options.report) if options.report else measure(options)
    if options.install_only:
        return 0
    print(text.render(records))
    if options.page:
        page.write(records, options.page)
    return 0 if complete(records) else 1


def complete(records: Records) -> bool:
    """Whether all that was asked for could be had and measured."""
    return bool(records.rows) and not records.facts["absent"] and not any(row.failed for row in records.rows)


def measure(options: Options) -> Records:
    machine.allow_descriptors()
    try:
        loadgen = Loadgen(options.debug)
    except Missing as missing:
        raise SystemExit(f"bench/compare: {missing}") from missing
    peers, absent = catalogue.prepare(options.only, options.debug, say)
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "command": arguments.command(sys.argv[1:]),
        "rounds": options.rounds,
        "machine": machine.facts(),
        "servers": {
            peer.name: {"title": peer.title, "version": peer.version, "threads": peer.threads, "note": peer.note} for peer in peers
        },
        "absent": {one.title: one.why for one in absent},
    }
    records = Records(facts)
    if options.install_only:
        return records
    bench = Bench(options, peers, loadgen, records, say)
    started = time.monotonic()
    for round_ in range(options.rounds):
        for name in options.works:
            begun = time.monotonic()
            work.ALL[name](bench, round_)
            say(f"round {round_ + 1}  {name}: {time.monotonic() - begun:.0f} s")
    records.facts["minutes"] = round((time.monotonic() - started) / 60, 1)
    records.write(options.results)
    return records


def say(words: str):
    print(words, file=sys.stderr, flush=True)
