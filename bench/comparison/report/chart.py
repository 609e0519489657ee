"""Bar charts as SVG: a bar for each server, a panel for each case, least and most as a line through the bar's end."""

from html import escape

from ..records import Records, Spread
from .table import count, number, size

TITLES = {
    "delivery-one": "Processor time of a delivery, one message at a time",
    "delivery-many": "Processor time of a delivery, 64 messages at once",
    "latency": "99th percentile of a fan-out at half of epush's maximum",
    "idle": "Memory of an idle connection",
    "storm": "Processor time of a connection, accepted and upgraded",
    "echo": "Processor time of an echo",
}

WIDTH, LABEL, BAR, GAP, ROW, HEAD = 760, 180, 420, 26, 20, 44

#: Readable on white and on black.
COLOURS = {"floor": "#8a8f98", "epush": "#d9480f", "": "#4c7ecf"}
INK = "#6b7280"


def all_of(records: Records) -> dict[str, str]:
    """Those that there are results for."""
    drawings = {}
    for name, at_once in [("delivery-one", 1), ("delivery-many", 64)]:
        cases = [case for case in records.cases("fanout", "subscribers", "payload_bytes", "at_once") if case[2] == at_once]
        panels = {
            f"{count(subscribers)} × {size(payload)}": spreads(
                records, "fanout", "cpu_us", subscribers=subscribers, payload_bytes=payload, at_once=at_once
            )
            for subscribers, payload, _ in cases
        }
        drawings[name] = draw(records, TITLES[name], "µs", panels)
    cases = records.cases("latency", "subscribers")
    panels = {f"{count(one)} subscribers": spreads(records, "latency", "p99_ms", subscribers=one, half_of="epush") for (one,) in cases}
    drawings["latency"] = draw(records, TITLES["latency"], "ms", panels)
    for name, figure, unit in [("idle", "bytes", "bytes"), ("storm", "cpu_us", "µs"), ("echo", "cpu_us", "µs")]:
        cases = records.cases(name, "connections")
        panels = {f"{count(one)} connections": spreads(records, name, figure, connections=one) for (one,) in cases}
        drawings[name] = draw(records, TITLES[name], unit, panels)
    return {name: drawing for name, drawing in drawings.items() if drawing}


def spreads(records: Records, work: str, figure: str, **case) -> dict[str, Spread]:
    found = {name: records.spread(records.of(work, name, **case), figure) for name in records.servers(work)}
    return {name: spread for name, spread in found.items() if spread}


def draw(records: Records, title: str, unit: str, panels: dict[str, dict[str, Spread]]) -> str:
    """Nothing when there is nothing to draw. Every panel has its own scale, from 0."""
    panels = {name: bars for name, bars in panels.items() if bars}
    if not panels:
        return ""
    lines, y = [], HEAD
    for name, bars in panels.items():
        lines.append(text(0, y, f"{name}, {unit}", weight="bold"))
        y += 10
        scale = BAR / max(spread.most for spread in bars.values())
        for server, spread in bars.items():
            lines += bar(records.facts["servers"][server]["title"], server, spread, scale, y)
            y += ROW
        y += GAP
    height = y - GAP + 10
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="13" role="img" aria-label="{escape(title)}">',
        f'<text x="0" y="18" font-size="16" font-weight="bold" fill="{INK}">{escape(title)}</text>',
        *lines,
        "</svg>\n",
    ])


def bar(title: str, server: str, spread: Spread, scale: float, y: int) -> list[str]:
    middle, least, most = (LABEL + value * scale for value in (spread.middle, spread.least, spread.most))
    colour = COLOURS.get(server, COLOURS[""])
    line = y + ROW / 2 - 1
    return [
        text(LABEL - 8, y + 14, title, anchor="end"),
        f'<rect x="{LABEL}" y="{y + 2}" width="{max(middle - LABEL, 1):.1f}" height="{ROW - 6}" rx="2" fill="{colour}"/>',
        f'<path d="M{least:.1f} {line}H{most:.1f}" stroke="{INK}" stroke-width="2"/>',
        text(max(middle, most) + 6, y + 14, number(spread.middle)),
    ]


def text(x: float, y: float, words: str, anchor: str = "start", weight: str = "normal") -> str:
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" font-weight="{weight}" fill="{INK}">{escape(words)}</text>'
