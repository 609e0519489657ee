"""Fan-out while some subscribers read nothing: what a delivery to the others costs, on epush."""

from ..loadgen import Found
from ..scenario import publisher, scenario, subscribers
from ..server import Server
from .bench import Bench

#: Of the subscribers, those that never read once they are subscribed.
SHARES = [0.0, 0.2]

SUBSCRIBERS = 1_000

#: With this payload and rate, a socket that is not read is full within the first second or two.
PAYLOAD_BYTES = 1_024
BURST = 16
RATE_PER_S = 1_600.0

#: What epush does with a subscriber that does not read, and says so: that is what is measured here, not a fault.
ANNOUNCED = ["gaps", "in_doubt", "reordered", "refused"]

# Small sockets and a small outbox: the limits act early in the run.
SMALL = ["--set", "server.send_buffer_bytes=16384", "--set", "limits.outbox_bytes_max=262144"]


def measure(bench: Bench, round_: int):
    peer = bench.peer("epush")
    if not peer:
        return
    clients = min(SUBSCRIBERS, max(bench.options.subscribers))
    for share in SHARES:
        case = {"subscribers": clients, "stalled": share}
        with bench.servers(round_, "slow", [peer.with_arguments(SMALL)], lambda _, case=case: [case]) as servers:
            for server in servers:
                measure_one(bench, round_, server, case)


def measure_one(bench: Bench, round_: int, server: Server, case: dict):
    clients, share = case["subscribers"], case["stalled"]
    steady_ms = bench.steady_ms(4_000)
    # A share of nothing is everybody.
    stalled = {"reader": {"kind": "stall", "share": share, "period_ms": 3_600_000, "stall_ms": 3_600_000}} if share else {}
    what = scenario(
        "slow",
        server,
        steady_ms,
        [subscribers(clients, **stalled)],
        [publisher(PAYLOAD_BYTES, BURST, rate_per_s=RATE_PER_S)],
        payload_bytes=PAYLOAD_BYTES,
    )
    # What the stalled ones never read is waited for in vain.
    what["phases"]["drain_ms"] = 1_000
    bench.measure(round_, "slow", server, case, what, figures, ANNOUNCED)


def figures(found: Found) -> dict:
    return {
        "cpu_us": found.server["cpu_us_per_delivery"],
        "deliveries_per_s": found.counts["messages"] / found.steady_s,
        "announced": found.counts["gaps"],
        **found.quantiles_ms("latency"),
    }
