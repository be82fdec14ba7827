"""The error tree. Everything that smtp_pair raises on purpose is an :class:`SmtpPairError`."""

from __future__ import annotations

from smtp_pair.mail.reply import Reply


class SmtpPairError(Exception):
    """Something smtp_pair can explain; its text is one line that names the culprit."""


class ConfigError(SmtpPairError, ValueError):
    """A setting that can't be: the text names the option, key or line at fault."""


class StartError(SmtpPairError, OSError):
    """A server that could not start: a port in use, a folder that can't be written. ``errno`` is the system's."""

    def __str__(self) -> str:
        return str(self.strerror)


class NotRunning(SmtpPairError):
    """A server or network was asked for something that only a running one has."""


class AddressError(SmtpPairError, ValueError):
    """A text that is no mailbox. ``beyond_ascii``: it would be one where SMTPUTF8 is in force (RFC 6531)."""

    def __init__(self, why: str, *, beyond_ascii: bool = False) -> None:
        super().__init__(why)
        self.beyond_ascii = beyond_ascii


class DeliveryError(SmtpPairError):
    """A mail that could not be handed on. Its reply is the truth: whether to try again is the reply's first digit."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class MailNotFound(SmtpPairError, AssertionError):
    """A mail that a test waited for did not come in time; the text says what did."""


class NotConserved(SmtpPairError, AssertionError):
    """A mail that was accepted is lost, doubled or changed; the text says which, and what became of it."""


class UnexpectedMail(SmtpPairError, AssertionError):
    """A mail came that a test said would not."""
