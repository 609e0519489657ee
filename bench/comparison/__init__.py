"""The comparison of epush with its peers: needs Python 3.11 and nothing beside its standard library.

arguments   what was asked for
places      directories: the repository, the cache
install     getting what is needed from the ordinary registries, into the cache
catalogue   the servers: how each is got, started and spoken to
child       no server or load generator outlives the comparison
server      a running server, and how it ends
scenario    what the load generator is told
loadgen     running it, and what it found out
work/*      the pieces of work, each a list of measurements
run         rounds, turns, progress
records     raw results, and medians, spreads and ratios of them
merge       results of several invocations as one
report/*    tables, charts, and the generated part of docs/BENCHMARKS.md
machine     what it ran on
"""
