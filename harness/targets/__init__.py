"""Mail servers that the scenarios are played on: ours, and those that others wrote.

``catalogue.py`` has their names. ``place.py`` says what each of them can be asked for; ``ours.py``, ``postfix.py``,
``exim.py``, ``opensmtpd.py`` and ``external.py`` are they. Those that are not ours run as ``daemon.py`` says, in a
folder of their own and in namespaces (``boxed.py``) that end with them. ``differences.py`` lists what a server may
rightly do otherwise. ``install_targets.sh`` brings them.
"""
