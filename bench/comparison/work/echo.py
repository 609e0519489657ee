"""Echo: every client sends its next message when it has the last one back."""

from ..catalogue import Peer
from ..loadgen import Found
from ..scenario import group, scenario
from .bench import Bench

CONNECTIONS = [100, 1_000]

PAYLOAD_BYTES = 128


def measure(bench: Bench, round_: int):
    def cases(peer: Peer) -> list[dict]:
        return [{"connections": connections} for connections in counts] if peer.echoes else []

    counts = [min(connections, max(bench.options.subscribers)) for connections in CONNECTIONS]
    with bench.servers(round_, "echo", bench.in_turn(round_), cases) as servers:
        for connections in counts:
            for server in servers:
                measure_one(bench, round_, server, connections)


def ping_pong(connections: int) -> dict:
    return group(connections, name="echo", activity={"kind": "echo", "rate_per_s": 0.0, "in_flight": 1, "payload_bytes": PAYLOAD_BYTES})


def path(server) -> str:
    """Plain servers that echo have a path for it; in a protocol it is a message."""
    return "/echo" if server.peer.echoes and server.peer.dialect in ("raw", "epush") else ""


def measure_one(bench: Bench, round_: int, server, connections: int):
    what = scenario("echo", server, bench.steady_ms(1_000), [ping_pong(connections)], path=path(server), payload_bytes=PAYLOAD_BYTES)
    bench.measure(round_, "echo", server, {"connections": connections}, what, figures)


def figures(found: Found) -> dict:
    return {
        "cpu_us": found.server["cpu_us_per_delivery"],
        "echoes_per_s": found.counts["messages"] / found.steady_s,
        **found.quantiles_ms("latency"),
    }
