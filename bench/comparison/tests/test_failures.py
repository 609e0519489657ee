"""What cannot be measured is said, for every case that was to be measured."""

import json
import tempfile
import unittest
from pathlib import Path

from comparison import arguments, run, work
from comparison.loadgen import RunFailed
from comparison.records import Records
from comparison.report import doubts
from comparison.work.bench import Bench

FACTS = {"servers": {}, "absent": {}}


class Broken:
    """A server that ends at once."""

    dialect, echoes, warm_up_ms, end_timeout_s = "raw", True, 0, 1

    def __init__(self, name: str):
        self.name = self.title = name

    def command(self, port, directory):
        return ["false"], {}

    def with_arguments(self, more):
        return self


class Listens(Broken):
    """One that is there, and says nothing."""

    def command(self, port, directory):
        return ["python3", "-c", "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1])))\nwhile True: s.accept()", port], {}


class NoResult:
    """A load generator that finds nothing out."""

    def run(self, scenario):
        raise RunFailed("nobody could connect")

    start = run


def measured(works: list[str], peers: list, *more: str) -> Records:
    """All rows of one round."""
    with tempfile.TemporaryDirectory() as directory:
        results = Path(directory) / "results.json"
        options = arguments.parse(["--subscribers", "50", "--results", str(results), *more])
        records = Records(dict(FACTS))
        bench = Bench(options, peers, NoResult(), records, lambda words: None)
        for name in works:
            work.ALL[name](bench, 0)
        assert len(json.loads(results.read_text())["rows"]) == len(records.rows)
        return records


def cases(records: Records, name: str) -> dict[str, int]:
    rows = records.of(name)
    return {server: sum(row.server == server for row in rows) for server in sorted({row.server for row in rows})}


class WhatCannotBeMeasured(unittest.TestCase):
    def test_a_server_that_does_not_start_fails_each_of_its_cases(self):
        self.fails_everything(measured(arguments.WORKS, [Broken("floor"), Broken("epush"), Broken("ws")]))

    def test_a_warm_up_that_fails_does_too(self):
        self.fails_everything(measured(arguments.WORKS, [Listens("floor"), Listens("epush"), Listens("ws")]))

    def test_so_do_measurements(self):
        self.fails_everything(measured(arguments.WORKS, [Listens("floor"), Listens("epush"), Listens("ws")], "--quick"))

    def fails_everything(self, records: Records):
        self.assertTrue(all(row.failed for row in records.rows))
        self.assertFalse(run.complete(records))
        # Two payloads: four bursts, two for those who do not do all.
        self.assertEqual(cases(records, "fanout"), {"epush": 8, "floor": 8, "ws": 4})
        self.assertEqual(cases(records, "latency"), {"epush": 3, "floor": 2, "ws": 2})
        self.assertEqual(cases(records, "echo"), {"epush": 2, "floor": 2, "ws": 2})
        for name in ("idle", "storm"):
            self.assertEqual(cases(records, name), {"epush": 1, "floor": 1, "ws": 1})
        self.assertEqual([cases(records, name) for name in ("beside", "slow", "window")], [{"epush": 1}, {"epush": 2}, {"epush": 4}])
        lines = doubts.all_of(records)
        self.assertTrue(all("failed: " in line for line in lines))
        for name in arguments.WORKS:
            self.assertTrue(any(f", {name} " in line for line in lines), name)

    def test_a_server_without_an_echo_has_no_case_of_it(self):
        silent = Broken("nchan")
        silent.echoes = False
        self.assertEqual(measured(["echo", "fanout"], [silent]).of("echo"), [])

    def test_what_is_absent_or_nothing_at_all_is_not_complete(self):
        self.assertFalse(run.complete(Records(dict(FACTS))))
        fine = measured(["idle"], [Broken("floor")])
        for row in fine.rows:
            row.failed = None
        self.assertTrue(run.complete(fine))
        fine.facts["absent"] = {"NATS": "no network"}
        self.assertFalse(run.complete(fine))


if __name__ == "__main__":
    unittest.main()
