"""What a fuzzer makes a client do: valid sessions, the same broken in some way, noise; and a script made as short as
can be that still does it.

A script is a sequence of actions: octets to say, or one of the words below. Each action waits for the replies to the
one before; but who hangs up does not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Literal

from harness.sessions import cut, pace, session

Word = Literal["half close", "hang up", "reset", "TLS", "half TLS"]
Action = bytes | Word
Script = tuple[Action, ...]

ENDINGS: tuple[Word, ...] = ("half close", "hang up", "reset")

# fmt: off
FRAGMENTS = (
    b"EHLO x\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<a@b>\r\n", b"DATA\r\n", b"QUIT\r\n", b"RSET\r\n", b"NOOP\r\n",
    b"BDAT 3\r\nabc", b"BDAT 0 LAST\r\n", b"BDAT 5 LAST\r\nabcde", b"BDAT 5 LAST\r\nab\n.\r", b"BDAT 2000\r\n",
    b"BDAT 99999999999999999999\r\n", b"BDAT 900 LAST\r\n" + b"y" * 900, b"BDAT -1\r\n", b"BDAT 1 LAST LAST\r\n",
    b"BDAT 00000000000000000001\r\nx", b"STARTTLS\r\n", b"STARTTLS\r\nEHLO x\r\n", b"AUTH PLAIN\r\n", b"AUTH LOGIN\r\n",
    b"AUTH XOAUTH2\r\n", b"AUTH OAUTHBEARER =\r\n", b"AUTH PLAIN AHZhZGVyAGRhcmtzaWRl\r\n", b"*\r\n", b"=\r\n",
    b"dXNlcj1hAWF1dGg9QmVhcmVyIHgBAQ==\r\n", b"bixhPWEsAWF1dGg9QmVhcmVyIHgBAQ==\r\n", b"\r\n.\r\n", b".\r\n",
    b"\n.\n", b"\r.\r", b"\r\n", b"\n", b"\r", b"\0", b"\xff", b" ", b"<", b">", b"@", b"=", b"GET / HTTP/1.1\r\n",
    b"\x16\x03\x01\x02\x00\x01", b"\x80\x2e\x01\x00\x02", b"x" * 700, b"x" * 13000, b"x" * 13000 + b"\r\n",
    b"RCPT TO:<" + b"a" * 1100 + b"@b>\r\n",
)
# fmt: on


def script(rng: Random) -> Script:
    """Any script."""
    match rng.randrange(8):
        case 0:
            actions = _noise(rng)
        case 1 | 2:
            actions = _fragments(rng)
        case 3 | 4:
            actions = list(_said(rng))
        case _:
            actions = _mutated(rng, list(_said(rng)))
    for at in _places(rng, actions, 0.2):
        actions[at:at] = [b"STARTTLS\r\n", "TLS" if rng.random() < 0.8 else "half TLS"]
    if rng.random() < 0.5:
        actions = actions[: rng.randint(0, len(actions))]
    if rng.random() < 0.6:
        actions.append(rng.choice(ENDINGS))
    return tuple(actions)


def _said(rng: Random) -> Iterator[Action]:
    """A session as clients might hold it, what follows 354 and 334 said whatever was answered."""
    for group in session(rng):
        if group.content is not None and rng.random() < 0.1:
            yield b"".join(group.commands) + group.content  # too early
            continue
        yield from cut(b"".join(group.commands), group.pace)
        for follows in (group.content, *group.responses):
            if follows is not None:
                yield from cut(follows, group.pace)


def _fragments(rng: Random) -> list[Action]:
    octets = b"".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, 25)))
    return list(cut(octets, pace(rng)))


def _noise(rng: Random) -> list[Action]:
    return list(cut(_random(rng, 600), pace(rng)))


def _random(rng: Random, most: int) -> bytes:
    return bytes(rng.randrange(256) for _ in range(rng.randint(0, most)))


def _mutated(rng: Random, actions: list[Action]) -> list[Action]:
    """With some pieces lost, twice, in another order, or with other octets in them."""
    for _ in range(rng.randint(1, 6)):
        if not actions:
            break
        at, other = rng.randrange(len(actions)), rng.randrange(len(actions))
        match rng.randrange(6):
            case 0:
                del actions[at]
            case 1:
                actions.insert(other, actions[at])
            case 2:
                actions[at], actions[other] = actions[other], actions[at]
            case 3:
                actions[at : at + 2] = [b"".join(each for each in actions[at : at + 2] if isinstance(each, bytes))]
            case _:
                actions[at] = _spoilt(rng, actions[at])
    return actions


def _spoilt(rng: Random, action: Action) -> Action:
    if not isinstance(action, bytes) or not action:
        return action
    at = rng.randrange(len(action))
    to = min(len(action), at + rng.randint(0, 4))
    match rng.randrange(4):
        case 0:
            return action[:at] + action[to:]
        case 1:
            return action[:at] + rng.choice(FRAGMENTS) + action[to:]
        case 2:
            return action[:at] + _random(rng, 4) + action[to:]
        case _:
            return action[:to] + action[at:]


def _places(rng: Random, actions: Sequence[Action], probability: float) -> list[int]:
    return [rng.randint(0, len(actions))] if rng.random() < probability else []


def shortest(script: Script, fails: Callable[[Script], bool]) -> Script:
    """A script that still fails, and none of whose actions or lines can be left out."""
    shorter = True
    while shorter:
        shorter = False
        for candidate in _shorter(script):
            if fails(candidate):
                script, shorter = candidate, True
                break
    return script


def _shorter(script: Script) -> Iterator[Script]:
    size = len(script) // 2
    while size:
        for at in range(0, len(script), size):
            yield script[:at] + script[at + size :]
        size //= 2
    for at, action in enumerate(script):
        if not isinstance(action, bytes):
            continue
        if at + 1 < len(script) and isinstance(following := script[at + 1], bytes):
            yield (*script[:at], action + following, *script[at + 2 :])
        for less in _fewer(action):
            yield (*script[:at], less, *script[at + 1 :])


def _fewer(octets: bytes) -> Iterator[bytes]:
    lines = octets.splitlines(keepends=True)
    for number in range(len(lines) if len(lines) > 1 else 0):
        yield b"".join(lines[:number] + lines[number + 1 :])
    size = len(octets) // 2
    while size:
        for at in range(0, len(octets), size):
            yield octets[:at] + octets[at + size :]
        size //= 2
