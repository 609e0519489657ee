"""Servers end with the comparison."""

import os
import select
import signal
import subprocess
import sys
import unittest
from pathlib import Path

BENCH = Path(__file__).resolve().parents[2]

#: A process that has ended is seen at once; a busy machine may take a while.
DEADLINE_MS = 20_000

#: A comparison that has started one server, says its process, and then waits for good.
COMPARISON = """
import select, signal, socket, sys
from comparison import child
from comparison.server import Server

LISTENS = "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\\nwhile True: s.accept()"

class Peer:
    name, end_timeout_s = "listener", 3
    def command(self, port, directory):
        return [sys.executable, "-c", LISTENS, port], {}

# Unlike pause(), which sleeps through a signal that comes just before it.
woken, wakes = socket.socketpair()
wakes.setblocking(False)
signal.set_wakeup_fd(wakes.fileno())
child.interrupted_by_signals()
try:
    with Server(Peer()) as server:
        print(server.pid, flush=True)
        select.select([woken], [], [])
except KeyboardInterrupt:
    sys.exit(130)
"""


class ServersEndWithTheComparison(unittest.TestCase):
    def ends(self, by: signal.Signals) -> int:
        """Ends the comparison by a signal, and waits for the end of its server; returns the comparison's exit code."""
        command = [sys.executable, "-B", "-c", COMPARISON]
        # Whoever runs this may have told it to ignore SIGHUP, as nohup(1) does, and children inherit that.
        heard = lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL)
        with subprocess.Popen(command, cwd=BENCH, stdout=subprocess.PIPE, text=True, preexec_fn=heard) as comparison:
            server = os.pidfd_open(int(comparison.stdout.readline()))
            try:
                comparison.send_signal(by)
                poll = select.poll()
                poll.register(server, select.POLLIN)
                self.assertTrue(poll.poll(DEADLINE_MS), f"the server outlives {by.name}")
                return comparison.wait(DEADLINE_MS / 1e3)
            finally:
                os.close(server)
                comparison.kill()

    def test_killed(self):
        self.assertEqual(self.ends(signal.SIGKILL), -signal.SIGKILL)

    def test_its_terminal_closed(self):
        self.assertEqual(self.ends(signal.SIGHUP), 130)

    def test_told_to_end(self):
        self.assertEqual(self.ends(signal.SIGTERM), 130)


if __name__ == "__main__":
    unittest.main()
