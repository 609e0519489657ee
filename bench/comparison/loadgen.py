"""Running the load generator, and what it found out."""

import json
import os
import subprocess
import tempfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from . import child, install
from .histogram import Histogram
from .scenario import toml

# epush-loadgen's exit codes that come with a result: all is well, and the tool was the bottleneck.
FINE, BOTTLENECK = 0, 4

# Counts that are 0 when every server does the same work. Gaps are missing messages that the server announced; in doubt are those
# that a session need not have got.
WRONG = ["lost", "gaps", "duplicates", "reordered", "in_doubt", "damaged", "refused", "refusals", "closed_by_server", "failed"]

# Far longer than any run: a server that hangs must not hang the comparison.
TIMEOUT_S = 180


class RunFailed(Exception):
    """It has no result."""


@dataclass
class Found:
    """A result, read."""

    outcome: dict

    @property
    def counts(self) -> dict:
        return self.outcome["counts"]

    @property
    def server(self) -> dict:
        return self.outcome["server"] or {}

    @property
    def steady_s(self) -> float:
        return self.outcome["steady_ms"] / 1e3

    @property
    def bottleneck(self) -> list[str]:
        return self.outcome["client"]["bottleneck"]

    @property
    def notes(self) -> list[str]:
        """What it noticed of itself that is no fault: in a closed loop its threads may be as busy as the server."""
        return self.outcome["client"].get("remarks", [])

    def quantiles_ms(self, histogram: str, **places: float) -> dict[str, float | None]:
        """Quantiles of one of its histograms: p50, p99 and p99.9, where no others are named."""
        read = Histogram(self.outcome[histogram])
        places = places or {"p50_ms": 0.5, "p99_ms": 0.99, "p999_ms": 0.999}
        return {name: None if read.at(place) is None else read.at(place) / 1e6 for name, place in places.items()}

    def wrong(self, allowed: Collection[str] = ()) -> str | None:
        """What makes the result no measurement: messages that did not arrive once and in order, clients that did not get in.

        A server that drops and says so does less work than one that delivers: that is wrong too where it is not `allowed`.
        """
        counts = self.counts | {"refused": self.outcome["publishing"]["refused"]}
        words = [f"{counts[name]} {name.replace('_', ' ')}" for name in WRONG if counts[name] and name not in allowed]
        words += [one["example"] or one["kind"] for one in self.outcome["failures"][:2]]
        return ", ".join(words) or None


class Run:
    """A run under way, killed where it is left before its end."""

    def __init__(self, binary: Path, scenario: dict):
        self.directory = tempfile.TemporaryDirectory(prefix="epush-compare-run-")
        self.result = Path(self.directory.name) / "result.json"
        file = Path(self.directory.name) / "scenario.toml"
        file.write_text(toml(scenario))
        command = [binary, "run", file, "--json", self.result]
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=child.ends_with(os.getpid()),
        )

    def finish(self) -> Found:
        """Waits for its end."""
        try:
            words, _ = self.process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise RunFailed(f"epush-loadgen has not ended after {TIMEOUT_S} s") from error
        if self.process.returncode not in (FINE, BOTTLENECK) or not self.result.exists():
            raise RunFailed(f"epush-loadgen exits {self.process.returncode}: {' / '.join(words.strip().splitlines()[-3:])}")
        return Found(json.loads(self.result.read_text()))

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.directory.cleanup()


class Loadgen:
    """The load generator, built."""

    def __init__(self, debug: bool):
        self.binary = install.own("epush-loadgen", debug)

    def start(self, scenario: dict) -> Run:
        return Run(self.binary, scenario)

    def run(self, scenario: dict) -> Found:
        with self.start(scenario) as run:
            return run.finish()
