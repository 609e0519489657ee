"""What the page says of limits that are not the server's, and of the bar."""

import unittest

from comparison.records import Records, Row
from comparison.report import missed, sections

SERVERS = {name: {"title": name, "version": "1", "threads": "1", "note": ""} for name in ("floor", "epush", "ws")}


def records(*rows: Row) -> Records:
    return Records({"servers": SERVERS, "absent": {}}, list(rows))


def row(work: str, server: str, case: dict, notes: tuple = (), **figures) -> Row:
    return Row(0, work, server, case, figures, notes=list(notes))


class DeliveriesASecond(unittest.TestCase):
    CASE = {"subscribers": 1_000, "payload_bytes": 128, "at_once": 64}

    def test_have_a_sign_where_the_server_was_not_the_limit(self):
        busy = row("fanout", "floor", self.CASE, cpu_us=0.5, deliveries_per_s=1_900_000)
        waiting = row("fanout", "epush", self.CASE, cpu_us=0.05, deliveries_per_s=12_000_000)
        remarked = row("fanout", "ws", self.CASE, ("a thread was busy",), cpu_us=1.0, deliveries_per_s=950_000)
        section = sections.speed(records(busy, waiting, remarked))
        self.assertEqual(section.table.rows, [["1 000 × 128 B, 64", "1.90", "12.00†", "0.95‡"]])
        self.assertIn("at least 0.60 (epush, 1 000 × 128 B, 64), at most 0.95 (", section.about)


class TheBar(unittest.TestCase):
    def test_is_missed_in_each_of_its_ways(self):
        connections = {"connections": 1_000}
        lines = missed.all_of(
            records(
                row("storm", "floor", connections, cpu_us=10.0),
                row("storm", "epush", connections, cpu_us=13.0),
                row("echo", "floor", connections, cpu_us=10.0),
                row("echo", "epush", connections, cpu_us=11.6),
                row("idle", "epush", connections, bytes=451.0),
                row("beside", "epush", {"subscribers": 1_000}, share=0.21),
                row("latency", "floor", {"subscribers": 5_000, "half_of": "epush"}, p50_ms=1.0, p99_ms=1.0),
                row("latency", "epush", {"subscribers": 5_000, "half_of": "epush"}, p50_ms=2.0, p99_ms=3.0),
                row("latency", "ws", {"subscribers": 5_000, "half_of": "epush"}, p50_ms=2.5, p99_ms=3.0),
            )
        )
        self.assertEqual(
            lines,
            [
                "processor a connection: 1.30 × the floor, to be at most 1.20 (1 000 connections)",
                "processor an echo: 1.16 × the floor, to be at most 1.15 (1 000 connections)",
                "bytes an idle connection: 451, to be at most 450 (1 000 connections)",
                "p99 of an echo, of a broadcast beside it: 0.21, to be at most 0.2 (1 000 subscribers)",
                "p99, ms: 3, ws 3 (5 000 subscribers, at half of the most of epush)",
            ],
        )

    def test_is_not_reached_by_what_is_not_known(self):
        failed = row("idle", "epush", {"connections": 1_000}, bytes=1.0)
        failed.failed = "2 failed"
        late = row("latency", "epush", {"subscribers": 5_000, "half_of": "epush"}, p50_ms=1.0)
        self.assertEqual(
            missed.all_of(records(row("storm", "epush", {"connections": 1_000}, cpu_us=13.0), failed, late)),
            [
                "processor a connection: not known, the floor was not measured beside it (1 000 connections)",
                "bytes an idle connection: not known, it could not be measured (1 000 connections)",
                "p99, ms: not known, it could not be measured (5 000 subscribers, at half of the most of epush)",
            ],
        )

    def test_is_reached_at_its_edge(self):
        case = {"subscribers": 1_000, "payload_bytes": 128, "at_once": 1}
        rows = [row("fanout", "floor", case, cpu_us=1.0), row("fanout", "epush", case, cpu_us=1.08), row("fanout", "ws", case, cpu_us=1.09)]
        self.assertEqual(missed.all_of(records(*rows)), [])


if __name__ == "__main__":
    unittest.main()
