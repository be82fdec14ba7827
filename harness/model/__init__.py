"""A plain model of what must be where, and a machine that lives through the same life with real servers.

``world.py`` is the oracle: values and arithmetic. ``machine.py`` is hypothesis' state machine: clients, servers,
faults, clock, partitions and restarts as rules; ``letters.py`` are its clients. ``bugs.py`` plants mistakes that the
machine has to find.
"""
