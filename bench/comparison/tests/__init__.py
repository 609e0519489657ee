"""Tests of the comparison itself: `python3 -m unittest discover -t bench -s bench/comparison/tests`."""
