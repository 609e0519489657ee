"""What epush has to reach, as ratios to the floor."""

from ..records import Records, Spread

#: Fan-out, by messages at once.
FANOUT = {1: 1.08, 16: 1.15, 64: 1.30, 256: 1.30}

STORM = 1.20
ECHO = 1.15

#: Bytes of resident memory for each idle connection.
IDLE_BYTES = 450

#: Of the time that one broadcast takes: the 99th percentile of an echo beside it.
BESIDE_SHARE = 0.2


def verdict(spread: Spread | None, most: float) -> str:
    if spread is None:
        return "–"
    return "yes" if spread.middle <= most else "**no**"


def peers(records: Records, work: str) -> list[str]:
    """Other people's servers."""
    return [name for name in records.servers(work) if name not in ("floor", "epush")]
