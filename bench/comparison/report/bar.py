"""What epush has to reach: as ratios to the floor, as numbers, and beside its peers. The floor is no peer."""

from collections.abc import Callable
from dataclasses import dataclass

from ..records import Records, Spread

#: Fan-out, by messages at once.
FANOUT = {1: 1.08, 16: 1.15, 64: 1.30, 256: 1.30}

STORM = 1.20
ECHO = 1.15

#: Bytes of resident memory for each idle connection.
IDLE_BYTES = 450

#: Of the time that one broadcast takes: the 99th percentile of an echo beside it.
BESIDE_SHARE = 0.2


@dataclass(frozen=True)
class Ratio:
    """epush's figure may be so many times the floor's."""

    work: str
    figure: str
    words: str
    most: Callable[[dict], float | None]


@dataclass(frozen=True)
class Limit:
    """epush's figure may be so large."""

    work: str
    figure: str
    words: str
    most: float


@dataclass(frozen=True)
class BelowPeers:
    """epush's figure is to be lower than that of every peer."""

    work: str
    figure: str
    words: str


ALL = [
    Ratio("fanout", "cpu_us", "processor a delivery", lambda case: FANOUT.get(case["at_once"])),
    Ratio("storm", "cpu_us", "processor a connection", lambda _: STORM),
    Ratio("echo", "cpu_us", "processor an echo", lambda _: ECHO),
    Limit("idle", "bytes", "bytes an idle connection", IDLE_BYTES),
    Limit("beside", "share", "p99 of an echo, of a broadcast beside it", BESIDE_SHARE),
    BelowPeers("latency", "p50_ms", "p50, ms"),
    BelowPeers("latency", "p99_ms", "p99, ms"),
    BelowPeers("fanout", "cpu_us", "processor a delivery, µs"),
]


def verdict(spread: Spread | None, most: float) -> str:
    if spread is None:
        return "–"
    return "yes" if spread.middle <= most else "**no**"


def peers(records: Records, work: str) -> list[str]:
    """Other people's servers."""
    return [name for name in records.servers(work) if name not in ("floor", "epush")]
