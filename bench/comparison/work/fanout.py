"""Fan-out: what a delivery costs, and how many there are a second.

The next burst is published when every subscriber has the last one, so every server does the same work, and none drops.
"""

from ..catalogue import Peer
from ..loadgen import Found
from ..records import Row
from ..scenario import publisher, scenario, subscribers
from ..server import Server
from .bench import Bench

PAYLOADS = [128, 1_024]

#: Messages published at once: one, and so many that no server can have sent the first when the last one is there.
BURSTS = [1, 64]

#: What the floor and epush do besides: where sharing a write begins, and more than fits into one.
MORE_BURSTS = [16, 256]

#: With so many bursts, what the last one is too long hardly counts; with fewer, each counts as the longest.
MANY = 8

#: The servers that do them.
CLOSELY = ["floor", "epush", "socketify"]


def measure(bench: Bench, round_: int):
    for clients in bench.options.subscribers:
        everything = [case_of(clients, payload_bytes, burst) for payload_bytes in PAYLOADS for burst in sorted(BURSTS + MORE_BURSTS)]

        def cases(peer: Peer) -> list[dict]:
            return [case for case in everything if case["at_once"] in bursts(bench, peer)]

        with bench.servers(round_, "fanout", bench.in_turn(round_), cases) as servers:
            for case in everything:
                for server in servers:
                    if case["at_once"] in bursts(bench, server.peer):
                        measure_one(bench, round_, server, case)


def bursts(bench: Bench, peer: Peer) -> list[int]:
    """How many at once a server is given."""
    return BURSTS + MORE_BURSTS if bench.options.all_bursts or peer.name in CLOSELY else BURSTS


def case_of(clients: int, payload_bytes: int, at_once: int) -> dict:
    return {"subscribers": clients, "payload_bytes": payload_bytes, "at_once": at_once}


def measure_one(bench: Bench, round_: int, server: Server, case: dict) -> Row:
    clients, payload_bytes, burst = case["subscribers"], case["payload_bytes"], case["at_once"]
    what = scenario(
        "fanout",
        server,
        # Some ten broadcasts one at a time to the largest crowd.
        bench.steady_ms(400 + clients // 20),
        [subscribers(clients)],
        [publisher(payload_bytes, burst, pace="delivered")],
        payload_bytes=payload_bytes,
    )
    return bench.measure(round_, "fanout", server, case, what, lambda found: figures(found, burst))


def figures(found: Found, burst: int) -> dict:
    counts = found.counts
    return {
        "cpu_us": found.server["cpu_us_per_delivery"],
        "deliveries_per_s": counts["messages"] / bursts_s(found, burst),
        # With what the server says to a session itself: whoever compares bytes takes it off.
        "bytes_frames": counts["bytes_frames"],
        "messages": counts["messages"],
    }


def bursts_s(found: Found, burst: int) -> float:
    """How long all bursts took: the last one begins before the end of the steady phase, and ends after it."""
    bursts = found.outcome["publishing"]["published"] / burst
    if bursts >= MANY:
        return found.steady_s * bursts / (bursts - 0.5)
    return bursts * found.quantiles_ms("latency_uncorrected", most=1.0)["most"] / 1e3
