"""What a piece of work needs: the servers, the load generator, and where rows go."""

from collections.abc import Callable
from contextlib import ExitStack, contextmanager

from ..arguments import Options
from ..catalogue import Peer
from ..loadgen import Found, Loadgen, RunFailed
from ..records import Records, Row, Say
from ..scenario import publisher, scenario, subscribers
from ..server import Server


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
    def servers(self, round_: int):
        """All of them started fresh and warmed up; the idle ones do nothing while one is measured."""
        with ExitStack() as stack:
            running = []
            for peer in self.in_turn(round_):
                try:
                    server = stack.enter_context(Server(peer))
                    self.warm_up(server)
                    running.append(server)
                except (RuntimeError, RunFailed) as error:
                    self.say(f"{peer.title}: {error}")
            yield running

    def warm_up(self, server: Server):
        if not self.options.quick:
            publishing = publisher(128, 16, pace="delivered")
            self.loadgen.run(scenario("warm-up", server, server.peer.warm_up_ms, [subscribers(500)], [publishing], payload_bytes=128))

    def measure(self, round_: int, work: str, server: Server, case: dict, what: dict, read: Callable[[Found], dict]):
        """Runs a scenario against a server, and adds its row."""
        row = Row(round_, work, server.name, case, {})
        try:
            found = self.loadgen.run(what)
            row.remarks = list(found.bottleneck)
            row.figures = read(found)
            row.failed = found.wrong()
        except (RunFailed, OSError, KeyError, TypeError, ValueError) as error:
            row.failed = f"{type(error).__name__}: {error}"
        self.add(row)
        return row

    def add(self, row: Row):
        self.records.rows.append(row)
        self.records.write(self.options.results)
        self.say(f"round {row.round + 1}  {row.work:8}{words(row.case):52} {row.server:18}{row.failed or words(rounded(row.figures))}")

    def steady_ms(self, full: int) -> int:
        """A length of the steady phase, or a short one when only a look is wanted."""
        return min(full, 400) if self.options.quick else full


def words(values: dict) -> str:
    return "  ".join(f"{key} {value}" for key, value in values.items())


def rounded(figures: dict) -> dict:
    return {key: float(f"{value:.4g}") for key, value in figures.items() if value is not None}

