"""What a server has delivered, and waiting for it: what a test asks of a server most.

Each wait has a twin that leaves the event loop of the test free. One that ends in vain says what did come and how it
differs, what is still in a queue, and what was said last (``inbox.py`` has how it is done).
"""

from __future__ import annotations

import re
from abc import abstractmethod

from smtp_pair.inbox import Inbox, Wanted, WantedStatus, Where
from smtp_pair.mail.message import Mail

Subject = str | re.Pattern[str] | None


class Waits:
    """The part of a server that is about mails that came."""

    @property
    @abstractmethod
    def _inbox(self) -> Inbox: ...

    @property
    def messages(self) -> list[Mail]:
        """All delivered mails, oldest first; a copy. A mail passed on to another server is not among them."""
        return self._inbox.mails

    def wait_for(
        self,
        *,
        to: str | None = None,
        sender: str | None = None,
        subject: Subject = None,
        where: Where | None = None,
        after: Mail | None = None,
        timeout: float = 5.0,
    ) -> Mail:
        """The first mail that matches, waiting up to ``timeout`` seconds for it; one that is there already counts.

        ``to`` and ``sender`` are envelope addresses, with ``*`` as a wildcard and the domain in any case; ``subject``
        is the decoded text, exact, or a compiled pattern; ``where`` is a function of the mail, called in this thread;
        ``after`` leaves out the mails up to and with that one. Raises MailNotFound, which tells what did come.
        """
        __tracebackhide__ = True
        return self._inbox.wait_for(Wanted(to, sender, subject, where, after), 1, timeout)[0]

    async def wait_for_async(
        self,
        *,
        to: str | None = None,
        sender: str | None = None,
        subject: Subject = None,
        where: Where | None = None,
        after: Mail | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109  # as in wait_for; a time-out here says what did come
    ) -> Mail:
        """As :meth:`wait_for`, without blocking the event loop of the test."""
        __tracebackhide__ = True
        found = await self._inbox.wait_for_async(Wanted(to, sender, subject, where, after), 1, timeout)
        return found[0]

    def wait_for_all(
        self,
        count: int,
        *,
        to: str | None = None,
        sender: str | None = None,
        subject: Subject = None,
        where: Where | None = None,
        after: Mail | None = None,
        timeout: float = 5.0,
    ) -> list[Mail]:
        """The first ``count`` mails that match, as :meth:`wait_for`."""
        __tracebackhide__ = True
        return self._inbox.wait_for(Wanted(to, sender, subject, where, after), count, timeout)

    async def wait_for_all_async(
        self,
        count: int,
        *,
        to: str | None = None,
        sender: str | None = None,
        subject: Subject = None,
        where: Where | None = None,
        after: Mail | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> list[Mail]:
        """As :meth:`wait_for_all`, without blocking the event loop of the test."""
        __tracebackhide__ = True
        return await self._inbox.wait_for_async(Wanted(to, sender, subject, where, after), count, timeout)

    def wait_for_bounce(
        self,
        recipient: str | None = None,
        *,
        action: str = "failed",
        status: str | None = None,
        to: str | None = None,
        after: Mail | None = None,
        timeout: float = 5.0,
    ) -> Mail:
        """The first notification to a sender whose mailbox is here, as :meth:`wait_for`; what it says is its
        ``delivery_status``.

        ``recipient`` is whom it tells of (with ``*`` as a wildcard), ``action`` what became of that one (``failed``,
        ``delayed``, ``delivered``, ``relayed``), ``status`` the enhanced code (``5.1.1``). RFC 3464. Raises ValueError
        at once for what no notification says.
        """
        __tracebackhide__ = True
        wanted = Wanted(to, after=after, status=WantedStatus(recipient, action, status))
        return self._inbox.wait_for(wanted, 1, timeout)[0]

    async def wait_for_bounce_async(
        self,
        recipient: str | None = None,
        *,
        action: str = "failed",
        status: str | None = None,
        to: str | None = None,
        after: Mail | None = None,
        timeout: float = 5.0,  # noqa: ASYNC109
    ) -> Mail:
        """As :meth:`wait_for_bounce`, without blocking the event loop of the test."""
        __tracebackhide__ = True
        wanted = Wanted(to, after=after, status=WantedStatus(recipient, action, status))
        return (await self._inbox.wait_for_async(wanted, 1, timeout))[0]

    def assert_no_mail(
        self,
        *,
        within: float = 0.0,
        to: str | None = None,
        sender: str | None = None,
        subject: Subject = None,
        where: Where | None = None,
        after: Mail | None = None,
    ) -> None:
        """Raises UnexpectedMail if a matching mail is there, or comes within so many seconds."""
        __tracebackhide__ = True
        self._inbox.assert_none(Wanted(to, sender, subject, where, after), within)

    async def assert_no_mail_async(
        self,
        *,
        within: float = 0.0,
        to: str | None = None,
        sender: str | None = None,
        subject: Subject = None,
        where: Where | None = None,
        after: Mail | None = None,
    ) -> None:
        """As :meth:`assert_no_mail`, without blocking the event loop of the test."""
        __tracebackhide__ = True
        await self._inbox.assert_none_async(Wanted(to, sender, subject, where, after), within)
