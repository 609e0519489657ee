"""socketify: uWebSockets' core under Python. /sub gets what publishers send, /echo gets its own back.

The fan-out is uWebSockets' own topic tree, in C++; Python is called once for each message published.
"""

import sys

from socketify import App, CompressOptions

SETTINGS = {
    "compression": CompressOptions.DISABLED,
    "max_payload_length": 1 << 20,
    # Never drops, as everywhere in the comparison.
    "max_backpressure": 1 << 30,
    "close_on_backpressure_limit": False,
    "idle_timeout": 0,
    "send_pings_automatically": False,
}

app = App()


arrived = []


def publish(_socket, message, opcode):
    arrived.append((message, opcode))


def publish_all(_):
    """After all handlers. Within one, the publisher's socket holds the buffer that lets messages share a write, and past the
    thirty-second each would have a write of its own."""
    for message, opcode in arrived:
        app.publish("news", message, opcode)
    arrived.clear()


def echo(socket, message, opcode):
    socket.send(message, opcode)


app.ws("/sub", SETTINGS | {"open": lambda socket: socket.subscribe("news")})
app.ws("/echo", SETTINGS | {"message": echo})
# Any other path: a route matches whole names only.
app.ws("/*", SETTINGS | {"message": publish})
# Runs before uWebSockets' own, which sends what was published.
after_handlers = app.loop.uv_loop.create_check(publish_all, None)
app.listen(int(sys.argv[1]), lambda config: print(f"ready {config.port}", flush=True))
# Not app.run(): that turns asyncio's loop beside libuv's and asks each in turn whether something came, all processor long.
# Nothing here is asyncio's, so libuv may wait in the kernel.
app.loop.uv_loop.run()
