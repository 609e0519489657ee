"""What a piece of work needs: the servers, the load generator, and where rows go."""

import struct
import zlib
from collections.abc import Callable, Collection
from contextlib import ExitStack, contextmanager

from ..arguments import Options
from ..catalogue import Peer
from ..loadgen import Found, Loadgen, RunFailed
from ..records import Records, Row, Say
from ..scenario import publisher, scenario, subscribers
from ..server import Server

#: A server that does not come up or cannot be spoken to, a run without a result, a result that is not what it should be.
FAILURES = (RuntimeError, RunFailed, OSError, LookupError, TypeError, ValueError, struct.error, zlib.error)

#: What a piece of work measures of a server.
Cases = Callable[[Peer], list[dict]]


class Bench:
    """The whole comparison, for one piece of work at a time."""

    def __init__(self, options: Options, peers: list[Peer], loadgen: Loadgen, records: Records, say: Say):
        self.options = options
        self.peers = peers
        self.loadgen = loadgen
        self.records = records
        self.say = say

    def in_turn(self, round_: int) -> list[Peer]:
        """The servers, every other round the other way around: whoever is first in one is last in the next."""
        return self.peers if round_ % 2 == 0 else self.peers[::-1]

    def peer(self, name: str) -> Peer | None:
        return next((peer for peer in self.peers if peer.name == name), None)

    @contextmanager
    def servers(self, round_: int, work: str, peers: list[Peer], cases: Cases, warm_up: Callable[[Server], None] | None = None):
        """All that can be started fresh and warmed up; the idle ones do nothing while one is measured.

        Where one cannot, each of its cases has failed.
        """
        with ExitStack() as stack:
            running = []
            for peer in peers:
                # Without a case there is nothing to start it for.
                if not (wanted := cases(peer)):
                    continue
                try:
                    running.append(stack.enter_context(self.started(peer, warm_up or self.warm_up)))
                except FAILURES as error:
                    for case in wanted:
                        self.add(Row(round_, work, peer.name, case, {}, failed=f"not started: {described(error)}"))
            yield running

    @staticmethod
    def started(peer: Peer, warm_up: Callable[[Server], None]) -> Server:
        server = Server(peer)
        try:
            warm_up(server)
        except BaseException:
            server.end()
            raise
        return server

    def warm_up(self, server: Server):
        if not self.options.quick:
            publishing = publisher(128, 16, pace="delivered")
            self.loadgen.run(scenario("warm-up", server, server.peer.warm_up_ms, [subscribers(500)], [publishing], payload_bytes=128))

    def measure(
        self, round_: int, work: str, server: Server, case: dict, what: dict, read: Callable[[Found], dict], allowed: Collection[str] = ()
    ) -> Row:
        """Runs a scenario against a server, and adds its row; `allowed` may go wrong where it is what is measured."""

        def figures(row: Row) -> dict:
            found = self.loadgen.run(what)
            row.remarks, row.notes = list(found.bottleneck), list(found.notes)
            row.failed = found.wrong(allowed)
            return read(found)

        return self.fill(Row(round_, work, server.name, case, {}), figures)

    def fill(self, row: Row, measure: Callable[[Row], dict]) -> Row:
        """Adds a row with what is measured, or with why it could not be."""
        try:
            row.figures = measure(row)
            if missing := [name for name, value in row.figures.items() if value is None]:
                row.failed = row.failed or f"no {', '.join(missing)}"
        except FAILURES as error:
            row.failed = row.failed or described(error)
        self.add(row)
        return row

    def add(self, row: Row):
        self.records.rows.append(row)
        self.records.write(self.options.results)
        self.say(f"round {row.round + 1}  {row.work:8}{words(row.case):52} {row.server:18}{row.failed or words(rounded(row.figures))}")

    def steady_ms(self, full: int) -> int:
        """A length of the steady phase, or a short one when only a look is wanted."""
        return min(full, 400) if self.options.quick else full


def described(error: Exception) -> str:
    """Our own errors are sentences; of others the kind has to be said too."""
    return str(error) if isinstance(error, (RuntimeError, RunFailed)) else f"{type(error).__name__}: {error}"


def words(values: dict) -> str:
    return "  ".join(f"{key} {value}" for key, value in values.items())


def rounded(figures: dict) -> dict:
    return {key: float(f"{value:.4g}") for key, value in figures.items() if value is not None}
