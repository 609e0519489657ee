"""Medians, ratios and comparisons are of what was measured, and of nothing else."""

import unittest

from comparison.loadgen import Found
from comparison.records import Records, Row
from comparison.report import doubts, sections, wins

SERVERS = {name: {"title": name, "version": "1", "threads": "1", "note": ""} for name in ("floor", "epush", "ws")}
CASE = {"subscribers": 1_000, "payload_bytes": 128, "at_once": 1}


def row(server: str, round_: int, cpu_us: float, failed: str | None = None, **more) -> Row:
    return Row(round_, "fanout", server, CASE, {"cpu_us": cpu_us, "deliveries_per_s": 1e6 / cpu_us}, failed=failed, **more)


class WhatFailed(unittest.TestCase):
    def setUp(self):
        rows = [row("floor", 0, 2.0), row("epush", 0, 3.0), row("ws", 0, 4.0)]
        rows += [row("floor", 1, 2.0), row("epush", 1, 0.5, failed="7 gaps"), row("ws", 1, 0.1, failed="9 lost")]
        self.records = Records({"servers": SERVERS, "absent": {}}, rows)

    def test_is_in_no_median_and_no_ratio(self):
        spread = self.records.spread(self.records.of("fanout", "epush"), "cpu_us")
        self.assertEqual((spread.least, spread.middle, spread.most), (3.0, 3.0, 3.0))
        self.assertEqual(self.records.ratio("fanout", "epush", "floor", "cpu_us", **CASE).least, 1.5)
        self.assertEqual(self.records.ratio("fanout", "ws", "epush", "cpu_us", **CASE).least, 4 / 3)

    def test_wins_nothing(self):
        self.assertEqual(wins.all_of(self.records), [])

    def test_is_shown_all_the_same(self):
        lines = doubts.all_of(self.records)
        self.assertTrue(any("9 lost; left out of the tables: cpu_us 0.1" in line and "(round 2)" in line for line in lines), lines)

    def test_leaves_a_dash_where_nothing_else_is(self):
        for one in self.records.of("fanout", "ws"):
            one.failed = "9 lost"
        table = next(section.table for section in sections.all_of(self.records) if section.title == "A delivery: everybody")
        self.assertEqual(table.rows, [["1 000 × 128 B, 1", "2", "3", "–"]])


class ARunThatWentWrong(unittest.TestCase):
    COUNTS = dict.fromkeys(
        ["lost", "gaps", "duplicates", "reordered", "in_doubt", "damaged", "refusals", "closed_by_server", "failed", "messages"], 0
    )

    def found(self, refused: int = 0, **counts: int) -> Found:
        return Found({"counts": self.COUNTS | counts, "publishing": {"refused": refused}, "failures": []})

    def test_is_fine_when_nothing_is_counted(self):
        self.assertIsNone(self.found(messages=5).wrong())

    def test_is_named_by_what_is_counted(self):
        self.assertEqual(self.found(gaps=3, reordered=2).wrong(), "3 gaps, 2 reordered")
        self.assertEqual(self.found(in_doubt=1, refused=4).wrong(), "1 in doubt, 4 refused")

    def test_may_announce_gaps_where_they_are_measured(self):
        self.assertEqual(self.found(gaps=3, lost=1).wrong(["gaps"]), "1 lost")


if __name__ == "__main__":
    unittest.main()
