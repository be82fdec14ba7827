#!/usr/bin/env python3
"""The commands of a checkout, with Python 3.11 or later and nothing else.

    python3 run.py demo    the pair of servers at work, and whether all went well
    python3 run.py test    the test suite; further arguments go to pytest: python3 run.py test -k forward
    python3 run.py check   a report card of any mail server on this machine: python3 run.py check HOST:PORT --domain D

Any other command goes to the command line of smtp-pair: python3 run.py up. The first run makes .venv beside this file.
"""

# An old Python must be able to read all of this file, to say the next sentence: no annotations, no f-strings.
import sys

if sys.version_info < (3, 11):
    sys.exit("smtp-pair needs Python 3.11 or later, and this is Python %d.%d." % sys.version_info[:2])

import hashlib
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(HERE, ".venv")
STAMP = os.path.join(VENV, "made-by-run.py")  # empty until the environment is whole, then says what it holds
USAGE = (
    "usage: python3 run.py demo | test [ARGUMENTS OF PYTEST] | check HOST:PORT --domain DOMAIN [OPTIONS]"
    " | COMMAND OF SMTP-PAIR [ARGUMENTS]"
)


def program(name):
    # type: (str) -> str
    return os.path.join(VENV, "Scripts", name + ".exe") if os.name == "nt" else os.path.join(VENV, "bin", name)


def plan(words):
    # type: (list[str]) -> tuple[str, list[str]]
    """Which of "run" and "dev" .venv must hold for a command, and what to start."""
    if words[0] == "test":
        return "dev", [program("tox"), "run", "-c", os.path.join(HERE, "tox.ini"), "-e", "py", "--"] + words[1:]
    if words[0] == "check":  # of harness/, which is in the checkout and not in the wheel
        return "run", [program("python"), "-m", "harness.check"] + words[1:]
    return "run", [program("smtp-pair")] + words


def key():
    # type: () -> str
    """Changes with whatever puts an environment out of date."""
    with open(os.path.join(HERE, "pyproject.toml"), "rb") as settings:
        facts = repr((sys.version, sys.base_prefix, HERE)).encode() + settings.read()
    return hashlib.sha256(facts).hexdigest()


def holds():
    # type: () -> list[str]
    """What .venv holds: nothing when it is missing, half made, broken or out of date."""
    try:
        with open(STAMP) as stamp:
            words = stamp.read().split()
    except OSError:
        return []
    return words[1:] if words[:1] == [key()] and os.path.exists(program("python")) else []


def stamp_as(text):
    # type: (str) -> None
    with open(STAMP, "w") as stamp:
        stamp.write(text)


def quietly(command):
    # type: (list[str]) -> None
    """Run one step in the making; what it prints is shown only when it fails."""
    done = subprocess.run(command, cwd=HERE, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.stderr.write(done.stdout.decode(errors="replace"))
        sys.exit("run.py: could not make .venv; this failed: " + " ".join(command))


def create():
    # type: () -> None
    """A new environment, with a pip that knows dependency groups, also on a Debian without python3-venv."""
    shutil.rmtree(VENV, ignore_errors=True)
    os.makedirs(VENV, exist_ok=True)
    stamp_as("")
    base = getattr(sys, "_base_executable", sys.executable)  # sys.executable may be of the .venv just removed
    try:
        from ensurepip import version  # noqa: F401 - Debian may leave the package's folder without its content
    except ImportError:
        quietly([base, "-m", "venv", "--without-pip", VENV])
        pip = [base, "-m", "pip", "--python", program("python")]
        if subprocess.run(pip + ["--version"], cwd=HERE, capture_output=True).returncode:  # no pip, or before 22.3
            sys.exit("run.py: this Python cannot make an environment with pip in it: apt install python3-venv")
    else:
        quietly([base, "-m", "venv", VENV])
        pip = [program("python"), "-m", "pip"]
    quietly(pip + ["install", "-q", "pip>=25.1"])


def prepare(need):
    # type: (str) -> None
    held = holds()
    if need in held:
        return
    if os.path.exists(program("python")) and not os.path.exists(STAMP):
        sys.exit("run.py: %s was not made by run.py; move it away, and run this again." % VENV)
    sys.stderr.write("Making .venv (once, about a minute) ...\n")
    sys.stderr.flush()
    if not held:
        create()
    stamp_as("")
    groups = [] if need == "run" else ["--group", need]
    quietly([program("python"), "-m", "pip", "install", "-q", "-e", "."] + groups)
    stamp_as(" ".join([key(), "run", need]))


def main(words):
    # type: (list[str]) -> int
    if not words or words[0].startswith("-"):
        asked = words in (["-h"], ["--help"])
        (sys.stdout if asked else sys.stderr).write(USAGE + "\n")
        return 0 if asked else 2
    need, command = plan(words)
    prepare(need)
    if os.name != "nt":
        os.execv(command[0], command)  # the command itself receives signals, and its exit code is ours
    child = subprocess.Popen(command)
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            pass  # the console sent it to the command too, which ends by itself


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
