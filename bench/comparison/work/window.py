"""What `channels.batch_ms` buys: messages of a channel that wait for each other share a write."""

from ..loadgen import Found
from ..scenario import publisher, scenario, subscribers
from ..server import Server
from .bench import Bench

WINDOWS_MS = [0, 1, 5, 20]

RATE_PER_S = 200.0

SUBSCRIBERS = 1_000

PAYLOAD_BYTES = 128


def measure(bench: Bench, round_: int):
    peer = bench.peer("epush")
    if not peer:
        return
    clients = min(SUBSCRIBERS, max(bench.options.subscribers))
    for window_ms in WINDOWS_MS:
        case = {"batch_ms": window_ms}
        told = peer.with_arguments(["--set", f"channels.batch_ms={window_ms}"])
        with bench.servers(round_, "window", [told], lambda _, case=case: [case]) as servers:
            for server in servers:
                measure_one(bench, round_, server, clients, case)


def measure_one(bench: Bench, round_: int, server: Server, clients: int, case: dict):
    what = scenario(
        "window",
        server,
        bench.steady_ms(2_000),
        [subscribers(clients)],
        [publisher(PAYLOAD_BYTES, 1, rate_per_s=RATE_PER_S)],
        payload_bytes=PAYLOAD_BYTES,
    )
    bench.measure(round_, "window", server, case, what, figures)


def figures(found: Found) -> dict:
    return {"cpu_us": found.server["cpu_us_per_delivery"], **found.quantiles_ms("latency")}
