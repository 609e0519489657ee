"""Results of several invocations: the newest of each, and nothing compared across them."""

import json
import tempfile
import unittest
from pathlib import Path

from comparison import arguments, merge
from comparison.records import Records, Row
from comparison.report import page, sections, wins

MACHINE = {"processor": "P", "processors": 2, "memory_gib": 8, "kernel": "K", "system": "S", "compiler": "C", "revision": "aaa", "changed": False}
CASE = {"subscribers": 1_000, "payload_bytes": 128, "at_once": 1}


def server(name: str, version: str = "1") -> dict:
    return {"title": name, "version": version, "threads": "1", "note": ""}


class SeveralRuns(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.directory = Path(directory.name)

    def file(self, name: str, date: str, costs: dict[str, list[float]], machine: dict = MACHINE, **facts) -> Path:
        """A file with these costs of a delivery, a round each."""
        whole = {"date": date, "command": f"bench/compare --{name}", "rounds": 1, "minutes": 1.0, "machine": machine, "absent": {}, **facts}
        rows = [
            Row(round_, "fanout", who, CASE, {"cpu_us": cost, "deliveries_per_s": 1e6 / cost})
            for who, each in costs.items()
            for round_, cost in enumerate(each)
        ]
        path = self.directory / name
        Records({"servers": {who: server(who) for who in costs}, **whole}, rows).write(path)
        return path

    def costs(self, records: Records, who: str) -> list[float]:
        return [row.figures["cpu_us"] for row in records.of("fanout", who)]

    def two(self) -> Records:
        """epush measured again a day later, without the peer."""
        old = self.file("old", "2026-01-01", {"floor": [10.0], "epush": [20.0], "ws": [15.0]}, machine=MACHINE | {"changed": True})
        new = self.file("new", "2026-01-02 01:00:00 UTC", {"floor": [1.0, 1.0], "epush": [2.0, 4.0]}, machine=MACHINE | {"revision": "bbb"})
        return merge.merged([new, old])

    def test_show_the_newest_of_what_was_measured_twice(self):
        records = self.two()
        self.assertEqual([self.costs(records, who) for who in ("floor", "epush", "ws")], [[1.0, 1.0], [2.0, 4.0], [15.0]])

    def test_have_ratios_within_a_run_only(self):
        records = self.two()
        self.assertEqual(records.ratio("fanout", "epush", "floor", "cpu_us", **CASE).middle, 3.0)
        self.assertEqual(records.ratio("fanout", "ws", "floor", "cpu_us", **CASE).middle, 1.5, "to the floor of its own run")

    def test_have_winners_within_a_run(self):
        [line, *_] = wins.all_of(self.two())
        self.assertTrue(line.startswith("ws, processor a delivery, µs: 15, epush 20 "), line)

    def test_have_winners_though_epush_failed_beside_them(self):
        records = self.two()
        [failed] = records.of_run(records.of("fanout", "ws")[0].run, "fanout", "epush", **CASE)
        failed.failed = "2 lost"
        [row] = records.of("fanout", "ws", **CASE)
        row.figures["cpu_us"] = 1.0
        self.assertIn("ws, processor a delivery, µs: 1, epush 3 ", wins.all_of(records)[0])
        self.assertIn("not in the same run", wins.all_of(records)[0])

    def test_without_a_run_together_say_so(self):
        old = self.file("old", "2026-01-01", {"ws": [1.0]})
        new = self.file("new", "2026-01-02", {"epush": [2.0]})
        records = merge.merged([old, new])
        self.assertIn("not in the same run", wins.all_of(records)[0])
        self.assertIsNone(records.ratio("fanout", "ws", "epush", "cpu_us", **CASE))

    def test_are_told_on_the_page_and_at_the_table(self):
        records = self.two()
        text = page.generated(records, [])
        self.assertIn("- run 1, 2026-01-01, revision aaa with changes, 1 round in 1.0 minutes: `bench/compare --old`", text)
        self.assertIn("- run 2, 2026-01-02 01:00:00 UTC, revision bbb, 1 round in 1.0 minutes: `bench/compare --new`", text)
        everybody = next(one for one in sections.all_of(records) if one.title == "A delivery: everybody")
        self.assertIn("**Not in the same run as epush's:** ws (run 1).", everybody.about)

    def test_are_told_without_the_directory_they_were_in(self):
        given = ["--rounds", "1", "--results", "/home/me/a.json", "--results=b.json", "--quick"]
        self.assertEqual(arguments.command(given), "bench/compare --rounds 1 --quick")

    def test_that_do_not_overlap_need_no_remark(self):
        old = self.file("old", "2026-01-01", {"floor": [1.0], "epush": [2.0], "ws": [3.0]})
        records = merge.merged([old])
        self.assertNotIn("same run", page.generated(records, []))
        self.assertIn("    bench/compare --old\n", page.generated(records, []))

    def test_of_different_machines_are_refused(self):
        old = self.file("old", "2026-01-01", {"epush": [1.0]})
        new = self.file("new", "2026-01-02", {"epush": [1.0]}, machine=MACHINE | {"processors": 64})
        with self.assertRaisesRegex(SystemExit, "different machines: processors 2 and 64"):
            merge.merged([old, new])

    def test_of_another_schema_are_refused(self):
        old = self.file("old", "2026-01-01", {"epush": [1.0]})
        other = self.directory / "other"
        other.write_text(json.dumps(json.loads(old.read_text()) | {"schema": "epush-compare/9"}))
        for path in (other, self.directory / "none"):
            with self.assertRaises(SystemExit):
                merge.merged([old, path])

    def test_keep_what_failed_in_the_newest(self):
        old = self.file("old", "2026-01-01", {"epush": [1.0]})
        new = self.file("new", "2026-01-02", {"epush": [2.0]})
        whole = json.loads(new.read_text())
        whole["rows"][0]["failed"] = "3 lost"
        new.write_text(json.dumps(whole))
        self.assertIsNone(merge.merged([old, new]).spread(merge.merged([old, new]).of("fanout", "epush"), "cpu_us"))


if __name__ == "__main__":
    unittest.main()
