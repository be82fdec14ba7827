"""Makes clients of every kind talk to a server of ours, and looks that it never errs: ``python -m harness.fuzz``.

    python -m harness.fuzz --minutes 5      for so long
    python -m harness.fuzz --seed 1234      one script once more, in memory and over sockets

Each script is played to a session in memory, and one in ten to a server over the loopback, beside a rehearsal of what
has to be said (``rehearsal.py``). A finding is any other octet said, a reply that does not come, an exception that
nobody caught, a line in the log that tells of an error, a session, task or timer left over, or a server that serves no
honest client any more. The first one ends the run; it prints its seed and the shortest script that shows it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from random import Random, SystemRandom

from harness.findings import Finding
from harness.fuzz_memory import MemoryTrial
from harness.fuzz_sockets import SocketTrial
from harness.scripts import Script, script, shortest

SOCKETS = 10
"""One script of so many is played over sockets too."""

Play = Callable[[Script], None]


def fails(play: Play) -> Callable[[Script], bool]:
    """Whether a script shows a finding."""

    def shows(candidate: Script) -> bool:
        try:
            play(candidate)
        except Finding:
            return True
        return False

    return shows


def run(minutes: float, seed: int, *, once: bool) -> int:
    """Play scripts from ``seed`` on. The exit code: 1 for a finding."""
    until = time.monotonic() + minutes * 60
    count = 0
    with MemoryTrial() as memory, SocketTrial() as sockets, SocketTrial(implicit=True) as implicit:
        while (once and not count) or (not once and time.monotonic() < until):
            plays: list[Play] = [memory.play]
            if once or count % SOCKETS == 0:
                plays += [sockets.play, implicit.play]
            for play in plays:
                if not _play(play, seed + count):
                    return 1
            count += 1
    print(f"{count:,} script{'s' * (count != 1)} from seed {seed} on, nothing found")
    return 0


def _play(play: Play, seed: int) -> bool:
    made = script(Random(seed))
    try:
        play(made)
    except Finding as finding:
        print(f"seed {seed}: {finding}")
        print("the shortest script that shows it:")
        for action in shortest(made, fails(play)):
            print(f"    {action!r}")
        return False
    return True


def main(arguments: list[str]) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m harness.fuzz", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (default: 1)")
    parser.add_argument("--seed", type=int, help="play this script alone")
    options = parser.parse_args(arguments)
    if options.seed is not None:
        return run(0, options.seed, once=True)
    return run(options.minutes, SystemRandom().randrange(1 << 40), once=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
