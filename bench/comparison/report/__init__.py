"""Tables, charts, and the generated part of docs/BENCHMARKS.md."""
