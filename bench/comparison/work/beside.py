"""Echo beside broadcasts, on one epush: whether a small answer waits until everybody has the large thing."""

from ..records import Row
from ..scenario import group, publisher, scenario, subscribers
from ..server import Server
from .bench import Bench

#: Clients that send something small, and have it back.
ECHOES = 10

ECHOES_PER_S = 20.0

BROADCASTS_PER_S = 4.0

PAYLOAD_BYTES = 128


def measure(bench: Bench, round_: int):
    peer = bench.peer("epush")
    if not peer:
        return
    clients = max(bench.options.subscribers)
    case = {"subscribers": clients}
    with bench.servers(round_, "beside", [peer], lambda _: [case]) as servers:
        for server in servers:
            row = Row(round_, "beside", peer.name, case, {})
            bench.fill(row, lambda row, server=server: figures(bench, server, clients, row))


def figures(bench: Bench, server: Server, clients: int, row: Row) -> dict:
    """Two load generators at the same time: one broadcasts, the other is answered."""
    alone = bench.loadgen.run(echoes(server, bench.steady_ms(1_000)))
    publishing = publisher(PAYLOAD_BYTES, 1, rate_per_s=BROADCASTS_PER_S)
    steady_ms = bench.steady_ms(5_000)
    broadcasts = scenario("beside", server, steady_ms, [subscribers(clients)], [publishing], payload_bytes=PAYLOAD_BYTES)
    with bench.loadgen.start(broadcasts) as broadcasting:
        # Those connect first; echoes of that time are not slower than others.
        answered = bench.loadgen.run(echoes(server, steady_ms))
        broadcast = broadcasting.finish()
    row.remarks, row.notes = broadcast.bottleneck + answered.bottleneck, broadcast.notes + answered.notes
    row.failed = alone.wrong() or broadcast.wrong() or answered.wrong()
    broadcast_ms = broadcast.quantiles_ms("skew")["p50_ms"]
    echo = answered.quantiles_ms("latency")
    return {
        "broadcast_ms": broadcast_ms,
        "echo_alone_p99_ms": alone.quantiles_ms("latency")["p99_ms"],
        "echo_p50_ms": echo["p50_ms"],
        "echo_p99_ms": echo["p99_ms"],
        "share": echo["p99_ms"] / broadcast_ms if broadcast_ms else None,
    }


def echoes(server: Server, steady_ms: int) -> dict:
    activity = {"kind": "echo", "rate_per_s": ECHOES_PER_S, "payload_bytes": PAYLOAD_BYTES}
    return scenario("beside", server, steady_ms, [group(ECHOES, name="echo", activity=activity)], path="/echo")
