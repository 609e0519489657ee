"""Latency of a fan-out on a schedule that waits for nobody.

Everybody at half of what epush can do at most one message at a time, and each server, and epush beside it, at half of what
that server can.
"""

from ..catalogue import Peer
from ..records import Row
from ..scenario import publisher, scenario, subscribers
from ..server import Server
from .bench import Bench
from . import fanout

PAYLOAD_BYTES = 128

#: Of its own maximum.
LOAD = 0.5

SUBSCRIBERS = 5_000


def measure(bench: Bench, round_: int):
    clients = SUBSCRIBERS if SUBSCRIBERS in bench.options.subscribers else bench.options.subscribers[0]
    turns = [turn for peer in bench.in_turn(round_) for turn in turns_of(peer.name, bench.peer("epush") is not None)]

    def cases(peer: Peer) -> list[dict]:
        return [case_of(clients, half_of) for name, half_of in turns if name == peer.name]

    with bench.servers(round_, "latency", bench.in_turn(round_), cases) as servers:
        by_name = {server.name: server for server in servers}
        halves = {name: half_load(bench, round_, server, clients) for name, server in by_name.items()}
        for name, half_of in turns:
            if name in by_name:
                measure_one(bench, round_, by_name[name], clients, half_of, halves.get(half_of))


def turns_of(name: str, beside_epush: bool) -> list[tuple[str, str]]:
    """Who is measured at half of whose maximum, one after the other: those that are compared follow each other."""
    if not beside_epush:
        return [(name, name)]
    return [(name, "epush")] if name == "epush" else [(name, "epush"), (name, name), ("epush", name)]


def case_of(clients: int, half_of: str) -> dict:
    return {"subscribers": clients, "half_of": half_of}


def half_load(bench: Bench, round_: int, server, clients: int) -> float | None:
    """Half of the messages a second it can do, by the fan-out of this round or by one of its own."""
    case = fanout.case_of(clients, PAYLOAD_BYTES, 1)
    rows = [row for row in bench.records.of("fanout", server.name, **case) if row.round == round_]
    row = rows[0] if rows else fanout.measure_one(bench, round_, server, case)
    deliveries = None if row.failed else row.figures.get("deliveries_per_s")
    return LOAD * deliveries / clients if deliveries else None


def measure_one(bench: Bench, round_: int, server: Server, clients: int, half_of: str, rate_per_s: float | None):
    case = case_of(clients, half_of)
    if rate_per_s is None:
        bench.add(Row(round_, "latency", server.name, case, {}, failed=f"what {half_of} can do at most is not known"))
        return
    what = scenario(
        "latency",
        server,
        bench.steady_ms(2_000),
        [subscribers(clients)],
        [publisher(PAYLOAD_BYTES, 1, rate_per_s=round(rate_per_s, 2))],
        payload_bytes=PAYLOAD_BYTES,
    )
    bench.measure(round_, "latency", server, case, what, lambda found: {"rate_per_s": rate_per_s, **found.quantiles_ms("latency")})
