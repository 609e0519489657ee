"""The tables, each with its heading and a sentence on what is in it."""

from dataclasses import dataclass

from ..records import Records, Row, spread
from . import bar
from .table import Table, count, middle, million, number, ranged, ratio, ratio_ranged, size

#: A server with less of a processor than this was waiting for others part of the time.
SERVER_SHARE_MIN = 0.9

WAITS, REMARKED = "†", "‡"


@dataclass
class Section:
    """A part of the page."""

    title: str
    about: str
    table: Table


def all_of(records: Records) -> list[Section]:
    """Those that there are results for."""
    makers = [
        ("fanout", floor_and_epush),
        ("fanout", cost),
        ("fanout", speed),
        ("latency", latency_of_each),
        ("latency", latency_at_epush),
        ("echo", echo),
        ("idle", idle),
        ("storm", storm),
        ("beside", beside),
        ("slow", slow),
        ("window", window),
    ]
    found = []
    for work, maker in makers:
        if records.of(work):
            section = maker(records)
            section.about += elsewhere(records, work)
            found.append(section)
    return found


def elsewhere(records: Records, work: str) -> str:
    """Whose rows are of another run than epush's: said at the table, for the machine may have had other things to do then."""
    found: dict[int, list[str]] = {}
    for row in records.of(work):
        beside = records.of(work, "epush", **row.case)
        names = found.setdefault(row.run, [])
        if beside and beside[0].run != row.run and title(records, row.server) not in names:
            names.append(title(records, row.server))
    told = [f"{', '.join(names)} (run {run + 1})" for run, names in sorted(found.items()) if names]
    return f" **Not in the same run as epush's:** {'; '.join(told)}." if told else ""


def title(records: Records, name: str) -> str:
    return records.facts["servers"][name]["title"]


def case_words(subscribers: int, payload_bytes: int) -> str:
    return f"{count(subscribers)} × {size(payload_bytes)}"


def floor_and_epush(records: Records) -> Section:
    table = Table(["subscribers × payload", "at once", "floor µs", "epush µs", "epush / floor", "at most", "reached"])
    for subscribers, payload_bytes, at_once in records.cases("fanout", "subscribers", "payload_bytes", "at_once"):
        case = {"subscribers": subscribers, "payload_bytes": payload_bytes, "at_once": at_once}
        costs = [records.spread(records.of("fanout", name, **case), "cpu_us") for name in ("floor", "epush")]
        against = records.ratio("fanout", "epush", "floor", "cpu_us", **case)
        most = bar.FANOUT.get(at_once)
        table.add(
            case_words(subscribers, payload_bytes),
            str(at_once),
            *(ranged(cost) for cost in costs),
            ratio_ranged(against),
            f"{most:.2f}" if most else "–",
            bar.verdict(against, most) if most else "–",
        )
    return Section(
        "A delivery: epush and the floor",
        "Microseconds of processor, user and system, for each delivery. Ratios are made within a round. 256 at once is flooded: "
        "more than shares a write.",
        table,
    )


def cost(records: Records) -> Section:
    names = records.servers("fanout")
    table = Table(["subscribers × payload, at once", *(title(records, name) for name in names)])
    for words, case in cases_of_everybody(records):
        table.add(words, *(middle(records.spread(records.of("fanout", name, **case), "cpu_us")) for name in names))
    return Section("A delivery: everybody", "Microseconds of processor for each delivery, medians.", table)


def cases_of_everybody(records: Records) -> list[tuple[str, dict]]:
    """Those of the fan-out that more than the floor and epush did, where there are others."""
    others = bar.peers(records, "fanout")
    found = []
    for subscribers, payload_bytes, at_once in records.cases("fanout", "subscribers", "payload_bytes", "at_once"):
        case = {"subscribers": subscribers, "payload_bytes": payload_bytes, "at_once": at_once}
        if not others or any(records.of("fanout", name, **case) for name in others):
            found.append((f"{case_words(subscribers, payload_bytes)}, {at_once}", case))
    return found


def speed(records: Records) -> Section:
    names = records.servers("fanout")
    table = Table(["subscribers × payload, at once", *(title(records, name) for name in names)])
    shares = []
    for words, case in cases_of_everybody(records):
        cells = []
        for name in names:
            rows = records.of("fanout", name, **case)
            share = server_share(rows)
            shares += [(share, f"{title(records, name)}, {words}")] if share is not None else []
            cells.append(middle(records.spread(rows, "deliveries_per_s"), million) + limited(rows, share))
        table.add(words, *cells)
    return Section("Deliveries a second", "Millions of deliveries a second, the next burst when everybody has the last. " + limits(shares), table)


def server_share(rows: list[Row]) -> float | None:
    """Of one processor, that the server used: the time of a delivery, so many times a second."""
    found = spread(
        row.figures["cpu_us"] * row.figures["deliveries_per_s"] / 1e6
        for row in rows
        if not row.failed and None not in (row.figures.get("cpu_us"), row.figures.get("deliveries_per_s"))
    )
    return found.middle if found else None


def limited(rows: list[Row], share: float | None) -> str:
    """The signs of a number that is not the server's own limit."""
    waits = share is not None and share < SERVER_SHARE_MIN
    return (WAITS if waits else "") + (REMARKED if any(row.notes for row in rows if not row.failed) else "")


def limits(shares: list[tuple[float, str]]) -> str:
    """What the signs mean, and how far the server was the limit."""
    words = "Nothing is pinned: server, clients and whatever else runs share the processors."
    if shares:
        (least, where_least), (most, where_most) = min(shares), max(shares)
        words += (
            " Processor time of a delivery times deliveries a second is the share of one processor that the server had: at least "
            f"{least:.2f} ({where_least}), at most {most:.2f} ({where_most}). {WAITS} below {SERVER_SHARE_MIN:g}: the server waited, so "
            "clients or machine were the limit, and it may do more."
        )
    return f"{words} {REMARKED} the load generator remarks that it was busy, late or without a processor itself."


def latency_of_each(records: Records) -> Section:
    table = Table(["server", "subscribers", "messages a second", "its p50 / p99 / p99.9 ms", "epush at the same rate"])
    for (subscribers,) in records.cases("latency", "subscribers"):
        for peer in records.servers("latency"):
            case = {"subscribers": subscribers, "half_of": peer}
            rate = records.spread(records.of("latency", peer, **case), "rate_per_s")
            both = (quantiles(records, name, case) for name in (peer, "epush"))
            table.add(title(records, peer), count(subscribers), middle(rate), *both)
    about = "128 B, one message at a time on a schedule, at half of what the server does at most; from when a message was due."
    return Section("Latency at half of its own maximum", about, table)


def latency_at_epush(records: Records) -> Section:
    table = Table(["server", "subscribers", "messages a second", "p50 / p99 / p99.9 ms"])
    for (subscribers,) in records.cases("latency", "subscribers"):
        case = {"subscribers": subscribers, "half_of": "epush"}
        for name in records.servers("latency"):
            rate = records.spread(records.of("latency", name, **case), "rate_per_s")
            table.add(title(records, name), count(subscribers), middle(rate), quantiles(records, name, case))
    about = "As above, everybody at half of what epush does at most. A server that cannot do so many falls behind."
    return Section("Latency at half of epush's maximum", about, table)


def quantiles(records: Records, name: str, case: dict) -> str:
    rows = records.of("latency", name, **case)
    return " / ".join(middle(records.spread(rows, figure)) for figure in ("p50_ms", "p99_ms", "p999_ms"))


def echo(records: Records) -> Section:
    table = Table(["server", "connections", "µs a message", "to the floor", "messages a second", "p50 / p99 ms"])
    for (connections,) in records.cases("echo", "connections"):
        for name in records.servers("echo"):
            rows = records.of("echo", name, connections=connections)
            against = records.ratio("echo", name, "floor", "cpu_us", connections=connections)
            tails = " / ".join(middle(records.spread(rows, figure)) for figure in ("p50_ms", "p99_ms"))
            costs = ranged(records.spread(rows, "cpu_us"))
            speeds = middle(records.spread(rows, "echoes_per_s"))
            table.add(title(records, name), count(connections), costs, ratio(against), speeds, tails)
    about = f"128 B, every client sends the next when it has the last back. epush is to stay under {bar.ECHO:.2f} × the floor."
    return Section("Echo", about, table)


def idle(records: Records) -> Section:
    table = Table(["server", "connections", "bytes a connection"])
    for (connections,) in records.cases("idle", "connections"):
        for name in records.servers("idle"):
            held = ranged(records.spread(records.of("idle", name, connections=connections), "bytes"))
            table.add(title(records, name), count(connections), held)
    about = (
        "By which the server's resident memory grows with each connection, subscribed to one of 100 channels where there is such a "
        f"thing; the kernel's sockets are not in it. epush is to stay under {bar.IDLE_BYTES}."
    )
    return Section("Memory of an idle connection", about, table)


def storm(records: Records) -> Section:
    table = Table(["server", "connections", "µs a connection", "to the floor", "connections a second"])
    for (connections,) in records.cases("storm", "connections"):
        for name in records.servers("storm"):
            rows = records.of("storm", name, connections=connections)
            against = records.ratio("storm", name, "floor", "cpu_us", connections=connections)
            costs = ranged(records.spread(rows, "cpu_us"))
            table.add(title(records, name), count(connections), costs, ratio(against), middle(records.spread(rows, "connects_per_s")))
    about = f"Accepted and upgraded, as fast as it goes. epush is to stay under {bar.STORM:.2f} × the floor."
    return Section("Connect storm", about, table)


def beside(records: Records) -> Section:
    table = Table(["subscribers", "one broadcast ms", "echo p50 ms", "echo p99 ms", "p99 / broadcast", "echo p99 alone ms"])
    for (subscribers,) in records.cases("beside", "subscribers"):
        rows = records.of("beside", "epush", subscribers=subscribers)
        figures = ("broadcast_ms", "echo_p50_ms", "echo_p99_ms", "share", "echo_alone_p99_ms")
        table.add(count(subscribers), *(ranged(records.spread(rows, figure)) for figure in figures))
    about = (
        "epush: a broadcast, from its first receiver to its last, and small messages of others that come back while it goes on. "
        f"Their p99 is to stay under {bar.BESIDE_SHARE:g} of it."
    )
    return Section("An echo beside broadcasts", about, table)


def slow(records: Records) -> Section:
    table = Table(["subscribers that never read", "µs a delivery", "to none", "announced as lost", "p99 ms"])
    for subscribers, stalled in records.cases("slow", "subscribers", "stalled"):
        rows = records.of("slow", "epush", subscribers=subscribers, stalled=stalled)
        without = records.spread(records.of("slow", "epush", subscribers=subscribers, stalled=0.0), "cpu_us")
        costs = records.spread(rows, "cpu_us")
        against = costs.middle / without.middle if costs and without else None
        lost = middle(records.spread(rows, "announced"))
        table.add(f"{stalled:.0%} of {count(subscribers)}", ranged(costs), number(against), lost, middle(records.spread(rows, "p99_ms")))
    return Section("Full sockets", "epush: 1 KiB, 16 at once, 1 600 a second; cost of what is delivered.", table)


def window(records: Records) -> Section:
    table = Table(["batch_ms", "µs a delivery", "p50 ms", "p99 ms"])
    for (window_ms,) in records.cases("window", "batch_ms"):
        rows = records.of("window", "epush", batch_ms=window_ms)
        table.add(str(window_ms), *(ranged(records.spread(rows, figure)) for figure in ("cpu_us", "p50_ms", "p99_ms")))
    about = "epush: 1 000 subscribers, 200 messages of 128 B a second, evenly. `channels.batch_ms` is how long they wait for each other."
    return Section("Messages that share a write", about, table)
