"""What a server may be told to do wrong, as values: one :class:`Fault` each. Checked when made; nothing happens here.

    Fault(phase="RCPT", reply="451 4.3.0", times=2, to="vader@*")
    Fault(after="DATA", bytes=100, drop=True)
    Fault(hide=["PIPELINING"])

The same names are the keys of ``[[domain.fault]]`` in a TOML file. ``fault_words.py`` reads faults from a command
line, ``fault_list.py`` counts them (``server.faults``), ``mischief.py`` does them.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from smtp_pair import checks
from smtp_pair.mail.errors import ConfigError
from smtp_pair.mail.reply import Reply

Octets = bytes
Kind = Literal[
    "reply", "delay", "throttle", "drop", "reset", "half_close", "stall", "garbage", "overlong", "hide", "tls", "store",
    "down",
]  # fmt: skip
Phase = Literal[
    "connect", "greeting", "EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "body", "dot",
    "accepted", "RSET", "NOOP", "VRFY", "EXPN", "HELP", "QUIT", "any",
]  # fmt: skip
"""``connect``: before the greeting. ``body``: while the content of a mail comes. ``dot``: its end, or the end of the
last chunk; what goes wrong there keeps the mail from being taken. ``accepted``: the mail is taken and stored, and the
250 to it is not said yet. ``any``: each command, and the dot. The rest are commands."""
BrokenTls = Literal["expired", "wrong host", "unknown CA", "handshake failure", "stripped"]
StoreTrouble = Literal["full", "error"]

KINDS: tuple[Kind, ...] = get_args(Kind)
PHASES: tuple[Phase, ...] = get_args(Phase)
HIDEABLE = (
    *("PIPELINING", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES", "DSN", "HELP"),
    *("SIZE", "STARTTLS", "AUTH"),
)
"""The extensions that a server can be told not to offer."""
NOISE = b"\x00\xff\xfe\x80 no reply at all \r\r\n\n\x1b[2J\xc3\r\n"
"""What ``garbage`` says where nothing is given: NUL, bare CR and LF, an escape sequence, no valid UTF-8."""

_BY_NAME: dict[str, Phase] = {phase.casefold(): phase for phase in PHASES} | {
    "final dot": "dot",
    ".": "dot",
    "content": "body",
}
_OWN_PHASE: dict[str, Phase] = {"hide": "EHLO", "tls": "STARTTLS", "store": "dot", "down": "connect"}
"""Kinds that have but one place."""
_FLAGS = ("drop", "reset", "half_close", "stall", "down")
_LIMITS = ("times", "nth", "to", "sender", "client", "session", "probability")
_KNOWS_RECIPIENTS = ("RCPT", "DATA", "BDAT", "body", "dot", "accepted", "any")
_KNOWS_SENDER = ("MAIL", *_KNOWS_RECIPIENTS)
# And keep a client from learning that its mail was taken. Any other answer to it would be a lie that no server tells.
_CAN_FOLLOW = ("drop", "reset", "half_close", "stall", "delay", "garbage")
OPENING = ("connect", "greeting", "EHLO", "HELO", "STARTTLS", "AUTH")
"""Places that a session comes to once, as it begins."""
DECIDING = ("reply", "drop", "reset", "half_close", "garbage")
"""Kinds after which there is nothing left to decide in that place: the first of them is the only one."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Fault:
    """One thing to do wrong, where, and how often. Exactly one of the kinds, from ``reply`` to ``down``, is given.

    Raises ConfigError, which names the setting, for what can't be.
    """

    phase: Phase = "any"
    """In place of what: the answer to that command, the greeting ..."""
    after: Phase | None = None
    """Instead of ``phase``: once that is done and answered, and ``bytes`` more have come from the client."""

    reply: Reply | str | None = None
    """Say that: ``"451 4.3.0 later"``. A refusal leaves the session as a real one does; 2xx (354 to DATA) only puts
    other words to a success. 421 ends the session (RFC 5321 3.8), and so does a refusal of the greeting."""
    delay: float | None = None
    """Wait so many seconds, of real time, first."""
    throttle: int | None = None
    """Read and write at most so many octets a second."""
    drop: bool = False
    """Close the connection without a word."""
    reset: bool = False
    """Break the connection: the client gets an RST."""
    half_close: bool = False
    """Say no more (FIN), and go on reading until the client leaves."""
    stall: bool = False
    """Say nothing until the fault is taken back, the client leaves or the session's time is over."""
    garbage: Octets | None = None
    """Say these octets, which may be no reply at all, and do nothing else. ``True`` stands for :data:`NOISE`."""
    overlong: int | None = None
    """Do what is asked, and stretch the reply to a line of so many octets (RFC 5321 4.5.3.1.5 allows 512)."""
    hide: Sequence[str] = ()
    """Do not offer these extensions, nor serve them."""
    tls: BrokenTls | None = None
    """A certificate that has ``expired``, is for the ``wrong host`` or of an ``unknown CA``; a ``handshake failure``;
    ``stripped``: STARTTLS is not offered, as if somebody on the way had taken it out."""
    store: StoreTrouble | None = None
    """When the mail is to be stored: the disk is ``full`` (452 4.3.1), or there is an ``error`` (451 4.3.0)."""
    down: bool = False
    """Nobody listens: connections are refused, and open ones break."""

    times: int | None = None
    """So often at most; then all goes well."""
    nth: int | None = None
    """Only the nth time that all else is true."""
    to: str | None = None
    """Only for a recipient like this: ``vader@*``. Where there are several, one of them is enough."""
    sender: str | None = None
    """Only for a sender like this."""
    client: str | None = None
    """Only for a client like this, by the name that it says in EHLO or its address."""
    session: int | None = None
    """Only in the nth session that comes to this place."""
    probability: float | None = None
    """Only so often, from 0 to 1: drawn from the network's ``seed``."""
    bytes: int = 0  # last, for the name hides the type below it
    """With ``after``, or in the ``body``: octets that come from the client first."""

    def __post_init__(self) -> None:
        given = [kind for kind in KINDS if _is_given(getattr(self, kind))]
        if len(given) != 1:
            one = f"{' and '.join(given)} are two" if given else "nothing to do wrong is given"
            raise ConfigError(f"fault: {one}; it needs one of {', '.join(KINDS)}")
        self._check_place(given[0])
        for name, check in (*_VALUES.items(), *_CONDITIONS.items()):
            value = getattr(self, name)
            if _is_given(value):
                _set(self, name, checks.checked(name, check, value))
        self._check_reply()
        self._check_limits()

    @property
    def kind(self) -> Kind:
        """What is done wrong."""
        return next(kind for kind in KINDS if _is_given(getattr(self, kind)))

    @property
    def place(self) -> Phase:
        """Where: ``after`` or ``phase``."""
        return self.after or self.phase

    @property
    def counts_octets(self) -> bool:
        """Whether it waits for octets from the client: how many, ``bytes`` says."""
        return self.after is not None or self.phase == "body"

    def __repr__(self) -> str:
        said = [(field.name, getattr(self, field.name)) for field in dataclasses.fields(self)]
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        words = [f"{name}={value!r}" for name, value in said if value != defaults[name]]
        return f"Fault({', '.join(words)})"

    def __str__(self) -> str:
        """As ``smtp-pair up --fault`` reads it, but for octets that no command line can hold."""
        value = getattr(self, self.kind)
        where = f"after {self.after}" if self.after else self.phase
        what = "" if self.kind in _FLAGS else f" {_shown(value)}"
        more = [f" {name}={getattr(self, name)}" for name in _LIMITS if getattr(self, name) is not None]
        return f"{where} {self.kind}{what}{f' bytes={self.bytes}' if self.bytes else ''}{''.join(more)}"

    def _check_place(self, kind: str) -> None:
        phase = checks.checked("phase", phase_of, self.phase)
        after = checks.checked("after", phase_of, self.after) if self.after is not None else None
        checks.checked("bytes", _whole, self.bytes)
        own = "EHLO" if self.tls == "stripped" else _OWN_PHASE.get(kind)
        if own is not None and (after is not None or phase not in (own, "any")):
            raise ConfigError(f"{'after' if after else 'phase'}: {kind} has its own place and takes none")
        if after is not None and phase != "any":
            raise ConfigError(f"after: there is a phase ({phase}) too; only one of them can be")
        if phase == "accepted" and kind not in _CAN_FOLLOW:
            raise ConfigError(f"phase: the mail is taken at accepted; give {kind} to the dot")
        if after is not None and (kind not in _CAN_FOLLOW or after in ("any", "body", "accepted")):
            raise ConfigError(f"after: there is no {kind} after {after}; give a phase")
        if self.bytes and after is None and phase != "body":
            if phase != "any" or kind not in _CAN_FOLLOW:
                raise ConfigError("bytes: they are counted after something, or in the body")
            after = "connect"  # any octet of the session
        if kind in ("reply", "overlong", "garbage") and phase == "connect":
            raise ConfigError(f"phase: nothing is said at connect; give {kind} to the greeting")
        if (kind == "overlong" and phase == "body") or (kind == "throttle" and phase not in ("any", "body")):
            raise ConfigError(f"phase: there is no {kind} at {phase}")
        _set(self, "phase", own or phase)
        _set(self, "after", after)

    def _check_reply(self) -> None:
        said = self.reply
        if not isinstance(said, Reply) or said.refused:
            return
        wanted = 3 if self.phase == "DATA" else 2
        if self.phase in ("any", "body") or said.code // 100 != wanted:
            # To promise what is not done loses a mail; the other way round a client is only left out of step.
            raise ConfigError(f"reply: {said} is no answer to {self.phase}; give a refusal (4xx, 5xx)")

    def _check_limits(self) -> None:
        if self.kind == "down":
            named = [name for name in _LIMITS if getattr(self, name) is not None]
            if named:
                raise ConfigError(f"{named[0]}: a server is down for all, until it is taken back")
        if self.to is not None and self.place not in _KNOWS_RECIPIENTS:
            raise ConfigError(f"to: no recipient is known at {self.place}; from RCPT on there is one")
        if self.sender is not None and self.place not in _KNOWS_SENDER:
            raise ConfigError(f"sender: no sender is known at {self.place}; from MAIL on there is one")


@dataclass(frozen=True, slots=True)
class Fired:
    """A fault that came to pass: a line of ``server.faults.seen``."""

    fault: Fault
    phase: Phase
    """Where; of use with ``any``."""
    client: str
    """``[127.0.0.1]:40312``."""
    helo: str = ""
    """What the client had called itself."""
    sender: str = ""
    recipient: str = ""
    """The recipient that it was about; at the dot, the first one."""

    def __str__(self) -> str:
        return str(self.fault) if self.phase == self.fault.place else f"{self.phase}: {self.fault}"

    @property
    def data(self) -> dict[str, str]:
        """What the journal keeps of it."""
        words = {name: getattr(self, name) for name in ("phase", "client", "helo", "sender", "recipient")}
        return {"fault": str(self.fault), **words}


def phase_of(value: object) -> Phase:
    """A phase by its name, in any case. Raises ConfigError."""
    phase = _BY_NAME.get(value.casefold()) if isinstance(value, str) else None
    if phase is None:
        raise ConfigError(f"{value!r} is no phase; there are {', '.join(PHASES)}")
    return phase


def refusal(value: object) -> Reply:
    """A reply that refuses. Raises ConfigError for any other."""
    answer = checks.checked("reply", _reply, value)
    if not answer.refused:
        raise ConfigError(f"reply: {answer} refuses nothing; give a 4xx or 5xx")
    return answer


def some(value: object) -> tuple[Fault, ...]:
    """Faults, as a configuration has them. Raises ConfigError."""
    if isinstance(value, Fault):
        return (value,)
    if not isinstance(value, Iterable) or isinstance(value, str):
        raise ConfigError(f"{value!r} is no list of faults")
    found = tuple(value)
    for one in found:
        if not isinstance(one, Fault):
            raise ConfigError(f"{one!r} is no Fault")
    return found


def _is_given(value: object) -> bool:
    return value is not None and value is not False and value != ()


def _set(instance: object, name: str, value: object) -> None:
    object.__setattr__(instance, name, value)


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    text = repr(value) if isinstance(value, bytes) else str(value)
    return f'"{text}"' if " " in text else text


_REPLY = re.compile(r"([0-9]{3})(?: ([245]\.[0-9]{1,3}\.[0-9]{1,3}))?(?:[ ]+(.*))?", re.DOTALL)


def _reply(value: object) -> Reply:
    if isinstance(value, Reply):
        answer = value
    else:
        match = _REPLY.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ConfigError(f"{value!r} is no reply: a code, an enhanced code and a text, 451 4.3.0 try later")
        if match[2] and match[2][0] != match[1][0]:
            raise ConfigError(f"{value!r} says {match[1][0]}xx and {match[2]}; the two belong to one class")
        answer = _made(int(match[1]), match[2] or "", match[3] or "")
    if not 200 <= answer.code < 600:
        raise ConfigError(f"{value!r} is no reply of SMTP: codes are 2xx, 3xx, 4xx and 5xx")
    return answer


def _made(code: int, enhanced: str, text: str) -> Reply:
    """A reply as somebody else wants it. Without an enhanced code a refusal gets one that fits (RFC 3463 3.1 to 3.8),
    and without a text it says what it is."""
    if not enhanced and code >= 400:
        enhanced = _ENHANCED_FOR.get(code, f"{code // 100}.0.0")
    return Reply(code, enhanced, text or ("told to fail" if code >= 400 else "told to say so"))


# fmt: off
_ENHANCED_FOR = {
    421: "4.3.2", 450: "4.2.0", 451: "4.3.0", 452: "4.3.1", 454: "4.7.0", 455: "4.5.4",
    500: "5.5.2", 501: "5.5.4", 502: "5.5.1", 503: "5.5.1", 504: "5.5.4", 530: "5.7.0", 535: "5.7.8",
    550: "5.1.1", 551: "5.1.6", 552: "5.3.4", 553: "5.1.3", 554: "5.3.0", 555: "5.5.4", 556: "5.1.10",
}
# fmt: on


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigError(f"{value!r} is not a whole number from 0 up")
    return value


def _line_length(value: object) -> int:
    length = checks.octets(value)
    if length < 100:
        raise ConfigError(f"{value!r} octets are no long line; give 100 or more")
    return length


def _octets(value: object) -> Octets:
    if value is True:
        return NOISE
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape")
    if not isinstance(value, Octets) or not value:
        raise ConfigError(f"{value!r} are no octets")
    return value


def _rate(value: object) -> int:
    rate = checks.octets(value)
    if rate < 1:
        raise ConfigError(f"{value!r} octets a second never get anywhere; stall says that better")
    return rate


def _extensions(value: object) -> tuple[str, ...]:
    names = value.replace(",", " ").split() if isinstance(value, str) else value
    if not isinstance(names, Iterable) or isinstance(names, Octets):
        raise ConfigError(f"{value!r} is no list of extensions")
    found = tuple(name.upper() if isinstance(name, str) else name for name in names)
    if not found:
        raise ConfigError("no extension is named")
    for name in found:
        if name not in HIDEABLE:
            raise ConfigError(f"{name!r} is no extension that is offered here; there are {', '.join(HIDEABLE)}")
    return tuple(dict.fromkeys(found))


def _pattern(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{value!r} is no pattern: an address or a name, * stands for anything")
    return value


def _recipients(value: object) -> str:
    """What no address is like, is a slip of the pen: the fault would never come to pass."""
    text = _pattern(value)
    if "@" not in text and "*" not in text and text.lower() != "postmaster":
        raise ConfigError(f"{text!r} is no address; did you mean {text + '@*'!r}?")
    return text


def _senders(value: object) -> str:
    return "" if value == "" else _recipients(value)  # the null sender, of notifications


def _chance(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value <= 1:
        raise ConfigError(f"{value!r} is no probability: from 0 to 1")
    return float(value)


_VALUES: dict[str, Any] = {
    "reply": _reply,
    "delay": checks.seconds,
    "throttle": _rate,
    "garbage": _octets,
    "overlong": _line_length,
    "hide": _extensions,
    "tls": checks.one_of(*get_args(BrokenTls)),
    "store": checks.one_of(*get_args(StoreTrouble)),
    **dict.fromkeys(_FLAGS, checks.yes_or_no),
}
_CONDITIONS: dict[str, Any] = {
    "times": checks.positive,
    "nth": checks.positive,
    "to": _recipients,
    "sender": _senders,
    "client": _pattern,
    "session": checks.positive,
    "probability": _chance,
}
KEYS = tuple(field.name for field in dataclasses.fields(Fault))
"""What can be said of a fault."""
