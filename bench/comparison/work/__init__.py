"""The pieces of work. Each is a function `measure(bench, round)` that measures every server, and adds rows."""

from . import beside, echo, fanout, hold, latency, slow, window

ALL = {
    "fanout": fanout.measure,
    "latency": latency.measure,
    "echo": echo.measure,
    "idle": hold.measure_idle,
    "storm": hold.measure_storm,
    "beside": beside.measure,
    "slow": slow.measure,
    "window": window.measure,
}
