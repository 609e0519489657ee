"""What was asked for."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from .places import PAGE, cache

WORKS = ["fanout", "latency", "echo", "idle", "storm", "beside", "slow", "window"]


@dataclass(frozen=True)
class Options:
    """The command line, read."""

    only: list[str]
    works: list[str]
    subscribers: list[int]
    rounds: int
    quick: bool
    debug: bool
    all_bursts: bool
    install_only: bool
    page: Path | None
    results: Path
    report: list[Path]


def names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def numbers(text: str) -> list[int]:
    return [int(number.replace("_", "")) for number in text.split(",")]


def works(text: str) -> list[str]:
    chosen = names(text)
    if unknown := set(chosen) - set(WORKS):
        raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: there is {', '.join(WORKS)}")
    return chosen


def parse(arguments: list[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(
        prog="bench/compare",
        description="Puts epush beside its peers: the same work for each, in turns, several rounds. "
        "Installs or builds what is missing into EPUSH_BENCH_CACHE (default ~/.cache/epush-bench), "
        "writes raw results as JSON, and with --page the generated part of docs/BENCHMARKS.md.",
        epilog="Exits 0 when all that was asked for has been measured, 1 when something could not be, 2 for wrong arguments.",
    )
    parser.add_argument("--only", type=names, default=[], metavar="A,B", help="these servers (default: all)")
    parser.add_argument("--work", type=works, default=WORKS, metavar="A,B", help=f"of {','.join(WORKS)} (default: all)")
    parser.add_argument("--subscribers", type=numbers, metavar="N,M", help="fan out to so many (default: 1000,5000,15000)")
    parser.add_argument("--rounds", type=int, metavar="N", help="default: 3; --quick: 1")
    parser.add_argument("--quick", action="store_true", help="small numbers and short phases: whether it works, not how fast")
    parser.add_argument("--debug", action="store_true", help="debug builds, those of epush and epush-loadgen as they are: for tests of this program")
    parser.add_argument("--all-bursts", action="store_true", help="16 and 64 at once for every peer too")
    parser.add_argument("--install-only", action="store_true", help="get and build everything, measure nothing")
    parser.add_argument(
        "--page", type=Path, nargs="?", const=PAGE, metavar="FILE", help="write docs/BENCHMARKS.md, or another page, and benchmarks/*.svg beside it"
    )
    parser.add_argument("--results", type=Path, metavar="FILE", help="raw results (default: in the cache)")
    parser.add_argument("--report", type=Path, nargs="+", default=[], metavar="FILE", help="measure nothing: tables of earlier raw results, of several runs together")
    given = parser.parse_args(arguments)
    quick = given.quick
    return Options(
        only=given.only,
        works=given.work,
        subscribers=given.subscribers or ([200] if quick else [1_000, 5_000, 15_000]),
        rounds=given.rounds or (1 if quick else 3),
        quick=quick,
        debug=given.debug,
        all_bursts=given.all_bursts,
        install_only=given.install_only,
        page=given.page,
        results=given.results or cache() / "results.json",
        report=given.report,
    )


def command(given: list[str]) -> str:
    """What was measured, as one would ask for it again: where results went is of no interest, and may be anybody's directory."""
    rest = list(given)
    while "--results" in rest:
        at = rest.index("--results")
        del rest[at : at + 2]
    return " ".join(["bench/compare", *(one for one in rest if not one.startswith("--results="))])
