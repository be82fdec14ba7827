"""Benchmarks: this project's servers beside those of its peers, side by side in one run.

    python -m harness.bench                      every case, as a table
    python -m harness.bench start_stop decode    these
    python -m harness.bench --list               what there is

The machine is shared and its speed drifts by a factor of two, so absolute figures mean little. All competitors of a
case are up at once and take turns in each round; what counts is the ratio within a round, its median and quartiles.
"""
