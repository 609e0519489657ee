"""Very many connections: what each costs to accept, and what it holds while it is idle."""

from ..scenario import group, scenario
from ..server import Server
from .bench import Bench
from .echo import path

CONNECTIONS = 15_000

#: Connections that come and go before anything is measured: code and first allocations are not a connection's.
WARM_UP = 200

#: Idle clients are subscribed to one of so many.
CHANNELS = 100


def connections(bench: Bench) -> int:
    return min(CONNECTIONS, max(bench.options.subscribers))


def measure_idle(bench: Bench, round_: int):
    """Each signed in where there is such a thing, and subscribed to one channel."""
    idle = group(connections(bench), channels=[f"channel-{{client%{CHANNELS}}}"])
    measure(bench, round_, "idle", idle, lambda found: {"bytes": found.server["bytes_per_connection"]})


def measure_storm(bench: Bench, round_: int):
    """Accepted and upgraded, as fast as it goes; nothing more where a server has a path without sessions."""
    measure(bench, round_, "storm", group(connections(bench)), storm_figures, path)


def storm_figures(found) -> dict:
    return {
        "cpu_us": found.server["cpu_us_per_connection"],
        "connects_per_s": connects_per_s(found),
        **found.quantiles_ms("connect"),
    }


def connects_per_s(found) -> float | None:
    """From when the first was due to when the last was ready."""
    opened = found.outcome["opened"]
    return opened["count"] * 1e9 / opened["took_ns"] if opened["took_ns"] else None


def measure(bench: Bench, round_: int, work: str, clients: dict, figures, path=lambda server: ""):
    def warm_up(server: Server):
        bench.loadgen.run(scenario("warm-up", server, 100, [clients | {"clients": WARM_UP}], path=path(server)))

    case = {"connections": clients["clients"]}
    # One at a time: nothing but the server that is measured runs.
    for peer in bench.in_turn(round_):
        with bench.servers(round_, work, [peer], lambda _: [case], warm_up) as servers:
            for server in servers:
                what = scenario(work, server, bench.steady_ms(500), [clients], path=path(server))
                bench.measure(round_, work, server, case, what, figures)
