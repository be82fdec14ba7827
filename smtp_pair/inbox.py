"""The delivered mails of a server, and waiting for one.

Mails are put in on the event loop's thread and looked at from the test's. A waiter is woken when a mail comes, it
never polls. A wait that ends in vain says what did come and how each near miss differs.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from smtp_pair import alarm
from smtp_pair.mail.address import Address
from smtp_pair.mail.errors import MailNotFound, UnexpectedMail
from smtp_pair.mail.message import Mail
from smtp_pair.mail.pattern import address_pattern

Where = Callable[[Mail], object]
_SHOWN = 10
_ACTIONS = ("failed", "delayed", "delivered", "relayed", "expanded")
"""RFC 3464 2.3.3."""
_STATUS = re.compile(r"[245]\.[0-9]{1,3}\.[0-9]{1,3}")


@dataclass(frozen=True, slots=True)
class WantedStatus:
    """What a test wants a notification to say."""

    recipient: str | None
    action: str
    status: str | None

    def __post_init__(self) -> None:
        if self.recipient is not None:
            _check_address("recipient", self.recipient)
        if self.action not in _ACTIONS:
            raise ValueError(f"action={self.action!r} is none of {', '.join(_ACTIONS)}")
        if self.status is not None and not _STATUS.fullmatch(self.status):
            raise ValueError(f"status={self.status!r} is no enhanced code such as '5.1.1'")

    def difference(self, mail: Mail) -> str:
        """How the mail differs from a notification that says so; "": it is one."""
        told = mail.delivery_status
        if told is None:
            return "it is no notification"
        for one in told.recipients:
            if (
                one.action == self.action
                and self.status in (None, one.status)
                and (self.recipient is None or _matches(self.recipient, one.recipient))
            ):
                return ""
        return f"it says {', '.join(f'<{one.recipient}> {one.action} {one.status}' for one in told.recipients)}"

    def __str__(self) -> str:
        return _named(self, ("recipient", "action", "status"))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a test is looking for. Checked when it is made, not when it is used."""

    to: str | None = None
    sender: str | None = None
    subject: str | re.Pattern[str] | None = None
    where: Where | None = None
    after: Mail | None = None
    status: WantedStatus | None = None
    """It is to be a notification, and to say that."""

    def __post_init__(self) -> None:
        for name in ("to", "sender"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                raise TypeError(f"{name}= takes an address or a pattern such as 'vader@*', not {value!r}")
        if self.to is not None:
            _check_address("to", self.to)
        if self.sender is not None and "@" not in self.sender and self.sender not in ("*", ""):
            raise ValueError(
                f"sender={self.sender!r} is not an address; did you mean {self.sender + '@*'!r}, or '' (the null one)?"
            )
        if self.subject is not None and not isinstance(self.subject, str | re.Pattern):
            raise TypeError(f"subject= takes a text or a compiled pattern, not {self.subject!r}")
        if self.where is not None and not callable(self.where):
            raise TypeError(f"where= takes a function of the mail, not {self.where!r}")
        if self.after is not None and not isinstance(self.after, Mail):
            raise TypeError(f"after= takes a mail, not {self.after!r}")

    def differences(self, mail: Mail) -> list[str]:
        """How the mail differs from what is wanted; nothing: it is the one."""
        found = []
        names = dict.fromkeys((*mail.delivered_to, *mail.addressed_to))
        if self.to is not None and not any(_matches(self.to, address) for address in names):
            found.append(f"to is {_list(names)}, not {self.to}")
        if self.sender is not None and not _matches(self.sender, mail.envelope.sender):
            found.append(f"sender is <{mail.envelope.sender}>, not {self.sender}")
        if isinstance(self.subject, str) and mail.subject != self.subject:
            found.append(f"subject is {mail.subject!r}, not {self.subject!r}")
        elif isinstance(self.subject, re.Pattern) and not self.subject.search(mail.subject):
            found.append(f"subject {mail.subject!r} does not match {self.subject.pattern!r}")
        if not found and self.where is not None and not self.where(mail):
            found.append(f"where={getattr(self.where, '__name__', self.where)} says no")
        if self.status is not None and (difference := self.status.difference(mail)):
            found.append(difference)
        return found

    @property
    def noun(self) -> str:
        """What is looked for, in the singular."""
        return "mail" if self.status is None else "notification"

    def __str__(self) -> str:
        said = (str(self.status or ""), _named(self, ("to", "sender", "subject", "where", "after")))
        parts = ", ".join(filter(None, said))
        return f" with {parts}" if parts else ""


class Inbox:
    """What one server has delivered."""

    def __init__(self, hostname: str, explain: Callable[[], str]) -> None:
        self._hostname = hostname
        self._explain = explain
        self._mails: list[Mail] = []
        self._forgotten = 0  # how many were cleared, so that a waiter keeps its place
        self._came = threading.Condition()
        self._listeners: set[Callable[[], None]] = set()

    def put(self, mail: Mail) -> None:
        """Let a mail be seen, without waking anybody yet: its client has not got the 250."""
        with self._came:
            self._mails.append(mail)

    def wake(self) -> None:
        """Wake whoever waits."""
        with self._came:
            self._came.notify_all()
            listeners = tuple(self._listeners)
        for listener in listeners:
            with contextlib.suppress(RuntimeError):  # its event loop is closed: nobody waits there any more
                listener()

    @property
    def mails(self) -> list[Mail]:
        """All of them, oldest first: a copy."""
        with self._came:
            return list(self._mails)

    def clear(self) -> list[Mail]:
        """Forget them all; gives what was forgotten."""
        with self._came:
            mails, self._mails = self._mails, []
            self._forgotten += len(mails)
        return mails

    def wait_for(self, wanted: Wanted, count: int, timeout: float) -> list[Mail]:
        """The first ``count`` mails that are wanted. Raises MailNotFound after ``timeout`` seconds."""
        __tracebackhide__ = True  # pytest shows the line of the test, not these
        found = self._first(wanted, count, timeout)
        if len(found) < count:
            raise MailNotFound(self._nothing(wanted, count, found, timeout))
        return found

    async def wait_for_async(self, wanted: Wanted, count: int, seconds: float) -> list[Mail]:
        """The same without blocking the caller's event loop."""
        __tracebackhide__ = True
        found = await self._first_async(wanted, count, seconds)
        if len(found) < count:
            raise MailNotFound(self._nothing(wanted, count, found, seconds))
        return found

    def assert_none(self, wanted: Wanted, within: float) -> None:
        """Raises UnexpectedMail if a wanted mail is there, or comes within so many seconds."""
        __tracebackhide__ = True
        self._refuse(wanted, self._first(wanted, 1, within))

    async def assert_none_async(self, wanted: Wanted, within: float) -> None:
        """The same without blocking the caller's event loop."""
        __tracebackhide__ = True
        self._refuse(wanted, await self._first_async(wanted, 1, within))

    def _refuse(self, wanted: Wanted, found: list[Mail]) -> None:
        __tracebackhide__ = True
        if found:
            raise UnexpectedMail(f"{self._hostname} has a mail{wanted}, and should not: {describe(found[0])}")

    def _first(self, wanted: Wanted, count: int, timeout: float) -> list[Mail]:
        """The first ``count`` mails that are wanted, or as many as come in time."""
        self._check(wanted, count, timeout)
        deadline = time.monotonic() + timeout
        seen = 0
        found: list[Mail] = []
        while len(found) < count:
            with self._came:
                # The predicate is the test's own code: it runs in the test's thread, and outside the lock.
                if self._forgotten + len(self._mails) <= seen:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        break
                    self._came.wait(min(left, threading.TIMEOUT_MAX))
                fresh = self._mails[max(0, seen - self._forgotten) :]
                seen = self._forgotten + len(self._mails)
            found += self._wanted(fresh, wanted)
        return found[:count]

    async def _first_async(self, wanted: Wanted, count: int, seconds: float) -> list[Mail]:
        """The same without blocking the caller's event loop."""
        self._check(wanted, count, seconds)
        woken = alarm.here()
        ring = woken.ring
        found: list[Mail] = []
        with self._came:
            self._listeners.add(ring)
        try:
            async with woken.within(seconds):
                while True:
                    found = self._wanted(self.mails, wanted)
                    if len(found) >= count:
                        return found[:count]
                    await woken.rung()
        except TimeoutError:
            return found
        finally:
            with self._came:
                self._listeners.discard(ring)

    def _check(self, wanted: Wanted, count: object, seconds: object) -> None:
        if not isinstance(count, int) or count < 1:
            raise ValueError(f"a wait is for one mail or more, not for {count!r}; assert_no_mail is for none")
        if not isinstance(seconds, int | float) or not seconds >= 0:
            raise ValueError(f"{seconds!r} is not a number of seconds to wait")
        if wanted.after is not None and wanted.after.hostname != self._hostname:
            raise ValueError(f"after= is a mail of {wanted.after.hostname}, and this is {self._hostname}")

    def _wanted(self, mails: Iterable[Mail], wanted: Wanted) -> list[Mail]:
        mails = list(mails)
        if wanted.after is not None and wanted.after in mails:
            mails = mails[mails.index(wanted.after) + 1 :]
        return [mail for mail in mails if not wanted.differences(mail)]

    def _nothing(self, wanted: Wanted, count: int, found: list[Mail], timeout: float) -> str:
        mails = self.mails
        early = mails[: mails.index(wanted.after) + 1] if wanted.after in mails else []
        what = f"no {wanted.noun}" if count == 1 else f"{len(found)} of {count} {wanted.noun}s"
        lines = [f"{what}{wanted} came to {self._hostname} within {timeout:g} s."]
        if not mails:
            lines.append("Nothing else came either.")
        else:
            lines.append(f"What did come ({len(mails)}), the last first:")
            for mail in mails[::-1][:_SHOWN]:
                why = "; ".join([*(["it is not after that mail"] if mail in early else []), *wanted.differences(mail)])
                why = why or "it is one of those wanted"
                lines += [f"  - {describe(mail)}", f"      {why}"]
            if len(mails) > _SHOWN:
                lines.append(f"  ... and {len(mails) - _SHOWN} more")
        explanation = self._explain()
        return "\n".join([*lines, explanation] if explanation else lines)


def describe(mail: Mail) -> str:
    """A mail in one line."""
    attached = ", ".join(repr(item.filename) for item in mail.attachments)
    files = f", attached: {attached}" if attached else ""
    return f"{mail.subject!r} from <{mail.envelope.sender}> to {_list(mail.delivered_to)}{files}"


def _list(addresses: Iterable[Address]) -> str:
    return ", ".join(f"<{address}>" for address in addresses)


def _named(value: object, names: Iterable[str]) -> str:
    return ", ".join(f"{name}={getattr(value, name)!r}" for name in names if getattr(value, name) is not None)


def _check_address(name: str, pattern: str) -> None:
    if "@" not in pattern and pattern not in ("*", "postmaster"):
        raise ValueError(f"{name}={pattern!r} is not an address; did you mean {pattern + '@*'!r}?")


@lru_cache(maxsize=256)
def _matches(pattern: str, address: str) -> bool:
    return address == pattern or address_pattern(pattern).fullmatch(address) is not None
