"""Latency of a fan-out on a schedule that waits for nobody.

Everybody at half of what epush can do at most one message at a time, and each server, and epush beside it, at half of what
that server can.
"""

from ..scenario import publisher, scenario, subscribers
from .bench import Bench
from . import fanout

PAYLOAD_BYTES = 128

#: Of its own maximum.
LOAD = 0.5

SUBSCRIBERS = 5_000


def measure(bench: Bench, round_: int):
    clients = SUBSCRIBERS if SUBSCRIBERS in bench.options.subscribers else bench.options.subscribers[0]
    with bench.servers(round_) as servers:
        by_name = {server.name: server for server in servers}
        halves = {name: half_load(bench, round_, server, clients) for name, server in by_name.items()}
        epush = by_name.get("epush")
        for name, server in by_name.items():
            if epush and halves["epush"]:
                measure_one(bench, round_, server, clients, "epush", halves["epush"])
            if name != "epush" and halves[name]:
                measure_one(bench, round_, server, clients, name, halves[name])
                if epush:
                    measure_one(bench, round_, epush, clients, name, halves[name])


def half_load(bench: Bench, round_: int, server, clients: int) -> float | None:
    """Half of the messages a second it can do, by the fan-out of this round or by one of its own."""
    case = {"subscribers": clients, "payload_bytes": PAYLOAD_BYTES, "at_once": 1}
    rows = [row for row in bench.records.of("fanout", server.name, **case) if row.round == round_]
    row = rows[0] if rows else fanout.measure_one(bench, round_, server, clients, PAYLOAD_BYTES, 1)
    deliveries = row.figures.get("deliveries_per_s")
    return LOAD * deliveries / clients if deliveries else None


def measure_one(bench: Bench, round_: int, server, clients: int, half_of: str, rate_per_s: float):
    case = {"subscribers": clients, "half_of": half_of}
    what = scenario(
        "latency",
        server,
        bench.steady_ms(2_000),
        [subscribers(clients)],
        [publisher(PAYLOAD_BYTES, 1, rate_per_s=round(rate_per_s, 2))],
        payload_bytes=PAYLOAD_BYTES,
    )
    bench.measure(round_, "latency", server, case, what, lambda found: {"rate_per_s": rate_per_s, **found.quantiles_ms("latency")})
