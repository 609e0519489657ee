"""Where things are."""

import os
from pathlib import Path

BENCH = Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent
PEERS = BENCH / "peers"
PAGE = REPOSITORY / "docs" / "BENCHMARKS.md"


def cache() -> Path:
    """Where everything that is installed goes; never into the repository."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("EPUSH_BENCH_CACHE") or Path(base) / "epush-bench")
