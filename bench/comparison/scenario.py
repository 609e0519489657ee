"""What the load generator is told: a scenario file."""

import json
from pathlib import Path

from .places import PEERS
from .server import Server

CHANNEL = "news"

# Sockets hold megabytes, slow servers need seconds for a burst: what is on its way is waited for.
DRAIN_MS = 30_000

CONNECT_TIMEOUT_MS = 60_000


def group(clients: int, **more) -> dict:
    """Clients that connect as fast as the server takes them."""
    return {"clients": clients, "connect_per_s": 0.0, **more}


def subscribers(clients: int, **more) -> dict:
    return group(clients, name="subscribers", channels=[CHANNEL], **more)


def publisher(payload_bytes: int, burst: int, **pace) -> dict:
    """One connection over WebSocket to the one channel; `pace` or `rate_per_s`."""
    return {
        "to": {"channels": [CHANNEL]},
        "burst": burst,
        "payload_bytes": payload_bytes,
        "via": "websocket",
        **pace,
    }


def scenario(name: str, server: Server, steady_ms: int, groups: list, publishers: list = (), path: str = "", payload_bytes: int = 0) -> dict:
    """All of a run against one server."""
    return {
        "name": name,
        "target": {
            "url": f"ws://127.0.0.1:{server.port}{path}",
            "dialect": dialect(server, payload_bytes, path),
            "pid": server.pid,
        },
        "phases": {
            "ramp_ms": 0,
            "steady_ms": steady_ms,
            "ramp_down_ms": 0,
            "drain_ms": DRAIN_MS,
            "connect_timeout_ms": CONNECT_TIMEOUT_MS,
        },
        # One thread, as the server has one: with two processors each can have its own, where nothing else runs. More clients than a source address has ports: all of the loopback's.
        "tool": {"workers": 1, "source_addresses": ["127.0.0.0/8"]},
        "group": [one | users(server) for one in groups],
        "publisher": list(publishers),
    }


def users(server: Server) -> dict:
    """Plain servers know a subscriber by its path, which is its user's name; to others everybody is somebody else."""
    return {"user": "sub"} if server.peer.dialect == "raw" else {}


def dialect(server: Server, payload_bytes: int, path: str) -> str:
    """The name of a ready dialect, or the path of one of ours with the payload's length filled in."""
    # An echo is what every server of plain WebSocket messages does alike, epush too.
    name = "raw" if path and server.peer.dialect == "epush" else server.peer.dialect
    source = PEERS / "dialects" / f"{name}.toml"
    if not source.exists():
        return name
    text = source.read_text().replace("@BYTES@", str(payload_bytes))
    filled = Path(server.directory.name) / source.name
    filled.write_text(text)
    return str(filled)


def toml(table: dict) -> str:
    """A table as TOML: values first, then tables, then lists of tables."""
    lines = [f"{key} = {value(one)}" for key, one in table.items() if not is_table(one)]
    for key, one in table.items():
        for each in one if is_table(one) and isinstance(one, list) else [one] if is_table(one) else []:
            heading = f"[[{key}]]" if isinstance(one, list) else f"[{key}]"
            lines += ["", heading, *(f"{inner} = {value(thing)}" for inner, thing in each.items())]
    return "\n".join(lines) + "\n"


def is_table(one) -> bool:
    return isinstance(one, dict) or (isinstance(one, list) and all(isinstance(each, dict) for each in one))


def value(one) -> str:
    if isinstance(one, bool):
        return str(one).lower()
    if isinstance(one, dict):
        return "{ " + ", ".join(f"{key} = {value(inner)}" for key, inner in one.items()) + " }"
    if isinstance(one, list):
        return "[" + ", ".join(value(each) for each in one) + "]"
    return json.dumps(one, ensure_ascii=False)
