"""A plain model of what must be where, and a machine that lives through the same life with real servers beside it.

``world.py`` is the oracle: values and arithmetic. ``machine.py`` is hypothesis' state machine: clients, servers, faults,
clock, partitions and restarts as rules. ``bugs.py`` plants mistakes that the machine has to find.
"""
