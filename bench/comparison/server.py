"""A running server: started fresh, ended by its id, whatever happens."""

import atexit
import os
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from . import child

# The JVM and a debug build take their time.
START_TIMEOUT_S = 30

_running: list["Server"] = []


class Server:
    """One server process, with a directory of its own for what it writes."""

    def __init__(self, peer):
        self.peer = peer
        self.port = free_port()
        self.directory = tempfile.TemporaryDirectory(prefix=f"epush-compare-{peer.name}-")
        self.log = Path(self.directory.name) / "log"
        arguments, environment = peer.command(self.port, Path(self.directory.name))
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                # Ctrl-C is for us: servers are ended in order.
                start_new_session=True,
                preexec_fn=child.ends_with(os.getpid()),
            )
        _running.append(self)
        self._wait_until_it_listens()

    @property
    def name(self) -> str:
        return self.peer.name

    @property
    def pid(self) -> int:
        """The process whose time and memory count: children are counted with it."""
        return self.process.pid

    def _wait_until_it_listens(self):
        until = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until:
            if self.process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        words = self.log.read_text(errors="replace").strip().splitlines()[-3:]
        self.end()
        raise RuntimeError(f"{self.name} does not listen: {' / '.join(words)}")

    def end(self):
        """Ends it: asked first, then killed."""
        if self in _running:
            _running.remove(self)
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(self.peer.end_timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        end_group(self.process.pid)
        self.directory.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()


def end_group(leader: int):
    """What is left of the children of a server, which leads a group of its own."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        pass


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@atexit.register
def end_all():
    """Ends every server that still runs."""
    for server in list(_running):
        server.end()
