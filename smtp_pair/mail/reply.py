"""Replies of a server: a code, an enhanced code, a text (RFC 5321 4.2, RFC 2034, RFC 3463).

Every reply that a server of ours gives has a name here, so that a code and its meaning are written down once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

LINE_LIMIT = 512
"""Octets in one reply line, CRLF included (RFC 5321 4.5.3.1.5)."""

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_LINE = re.compile(rb"([2-5][0-9][0-9])(?:[ -](.*))?", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: |$)")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply. ``text`` may have several lines; controls in it are replaced, for it may quote a stranger.

    ``enhanced`` is empty where RFC 2034 wants none: the greeting, the answers to EHLO and HELO, and every 3xx.
    """

    code: int
    enhanced: str
    text: str
    wire: bytes = field(init=False, repr=False, compare=False)
    """The reply as it goes over the wire, CRLF included."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "wire", _render(self.code, self.enhanced, self.text))

    @property
    def accepted(self) -> bool:
        """2xx: done."""
        return 200 <= self.code < 300

    @property
    def temporary(self) -> bool:
        """4xx: try again later. Only the first digit decides (RFC 5321 4.2.1)."""
        return 400 <= self.code < 500

    @property
    def permanent(self) -> bool:
        """5xx: give up."""
        return self.code >= 500

    @property
    def refused(self) -> bool:
        """4xx or 5xx: not done."""
        return self.code >= 400

    def __str__(self) -> str:
        return " ".join(part for part in (str(self.code), self.enhanced, self.text) if part)

    @classmethod
    def parse(cls, lines: Iterable[bytes]) -> Reply:
        """The reply in the lines that a peer sent. Raises ValueError when they are none."""
        code, texts = 0, []
        for line in lines:
            match = _LINE.fullmatch(line.rstrip(b"\r\n"))
            if match is None or (code and int(match[1]) != code):
                raise ValueError(f"not a reply: {line[:80]!r}")
            code = int(match[1])
            texts.append((match[2] or b"").decode("utf-8", "replace"))
        if not code:
            raise ValueError("not a reply: no line")
        found = _ENHANCED.match(texts[0])
        enhanced = found[1] if found and found[1][0] == str(code)[0] else ""
        if enhanced:
            texts = [text.removeprefix(enhanced).lstrip() for text in texts]
        return cls(code, enhanced, "\n".join(texts))


def _render(code: int, enhanced: str, text: str) -> bytes:
    """The wire form: each line with its code (and enhanced code, RFC 2034), none longer than LINE_LIMIT."""
    prefix = f"{enhanced} " if enhanced else ""
    room = LINE_LIMIT - len("250-\r\n")
    lines: list[bytes] = []
    for line in _CONTROLS.sub("?", text).split("\n"):
        octets = (prefix + line.replace("\t", " ")).encode()
        lines.append(octets if len(octets) <= room else octets[:room].decode("utf-8", "ignore").encode())
    last = lines.pop()
    head = b"".join(b"%d-%b\r\n" % (code, line) for line in lines)
    return head + b"%d %b\r\n" % (code, last)


# -- the session ------------------------------------------------------------------------------------------------


def greeting(hostname: str) -> Reply:
    """220, with the host's name first (RFC 5321 4.2)."""
    return Reply(220, "", f"{hostname} ESMTP smtp-pair")


def hello(hostname: str, extensions: Iterable[str] = ()) -> Reply:
    """250 to EHLO (with the extensions offered, one a line) and to HELO (with none)."""
    return Reply(250, "", "\n".join([hostname, *extensions]))


RESET = Reply(250, "2.0.0", "reset: the transaction is gone")
NOOP = Reply(250, "2.0.0", "still here")
BYE = Reply(221, "2.0.0", "bye")
HELP = Reply(214, "2.0.0", "commands: EHLO HELO STARTTLS AUTH MAIL RCPT DATA BDAT RSET NOOP QUIT VRFY HELP")
CANNOT_VERIFY = Reply(252, "2.5.0", "no address is verified here; send the mail and see")
NO_EXPN = Reply(502, "5.5.1", "lists are not expanded here")

IDLE = Reply(421, "4.4.2", "nothing heard for too long, closing")
SHUTTING_DOWN = Reply(421, "4.3.2", "shutting down, closing")
TOO_MANY_ERRORS = Reply(421, "4.7.0", "too many errors, closing")
TOO_MANY_CONNECTIONS = Reply(421, "4.7.0", "too many connections, try again later")
TOO_MANY_COMMANDS = Reply(421, "4.7.0", "too many commands and no mail, closing")
SESSION_TOO_LONG = Reply(421, "4.4.2", "this session has lasted long enough, closing")
NOT_SMTP = Reply(421, "4.7.0", "this is a mail server, closing")
TALKS_TOO_EARLY = Reply(554, "5.5.0", "you speak before your turn, closing")

# -- order and syntax -------------------------------------------------------------------------------------------

EHLO_FIRST = Reply(503, "5.5.1", "say EHLO first")
MAIL_FIRST = Reply(503, "5.5.1", "MAIL comes first")
RCPT_FIRST = Reply(503, "5.5.1", "no recipient was accepted, RCPT comes first")
NESTED_MAIL = Reply(503, "5.5.1", "a transaction is open already, end it with DATA or RSET")
UNKNOWN_COMMAND = Reply(500, "5.5.1", "unknown command")
LINE_TOO_LONG = Reply(500, "5.5.2", "the command line is too long")
NOT_TEXT = Reply(501, "5.5.2", "the command line is not valid UTF-8")
CHUNKS_BEGUN = Reply(503, "5.5.1", "the mail is being sent with BDAT, go on with that or RSET")
NOT_OFFERED = Reply(502, "5.5.1", "not offered here")
HELLO_WANTS_A_NAME = Reply(501, "", "a host name is missing: EHLO client.example")


def syntax(usage: str) -> Reply:
    """501: the command is known, its argument is not what ``usage`` shows."""
    return Reply(501, "5.5.4", f"syntax: {usage}")


def unknown_parameter(name: str) -> Reply:
    """555: a parameter that no offered extension defines (RFC 5321 4.1.1.11)."""
    return Reply(555, "5.5.4", f"unknown parameter: {name[:64]}")


def bad_parameter(name: str, why: str) -> Reply:
    """501: the parameter is known, its value is not."""
    return Reply(501, "5.5.4", f"{name}: {why}")


# -- TLS and AUTH -----------------------------------------------------------------------------------------------

START_TLS = Reply(220, "2.0.0", "go ahead with the handshake")
TLS_ALREADY = Reply(503, "5.5.1", "TLS is on already")
TLS_FIRST = Reply(530, "5.7.0", "say STARTTLS first")
AUTH_NEEDS_TLS = Reply(538, "5.7.11", "no password without encryption, say STARTTLS first")
AUTH_FIRST = Reply(530, "5.7.0", "say who you are first, with AUTH")
AUTHENTICATED = Reply(235, "2.7.0", "welcome")
AUTHENTICATED_ALREADY = Reply(503, "5.5.1", "you have said who you are already")
AUTH_IN_TRANSACTION = Reply(503, "5.5.1", "a transaction is open, AUTH comes before MAIL")
AUTH_CANCELLED = Reply(501, "5.7.0", "authentication cancelled")
BAD_CREDENTIALS = Reply(535, "5.7.8", "these credentials are not known here")
NOT_BASE64 = Reply(501, "5.5.2", "that is not base64")
UNKNOWN_MECHANISM = Reply(504, "5.5.4", "unknown mechanism")


def challenge(encoded: str) -> Reply:
    """334, with the challenge in base64 (RFC 4954 4)."""
    return Reply(334, "", encoded)


def bad_response(why: str) -> Reply:
    """501 5.5.2: base64, and no response that the mechanism knows."""
    return Reply(501, "5.5.2", why)


# -- addresses --------------------------------------------------------------------------------------------------

SENDER_OK = Reply(250, "2.1.0", "sender taken")
RECIPIENT_OK = Reply(250, "2.1.5", "recipient taken")
# Addresses beyond ASCII without the parameter that announces them: MAIL and RCPT have a code each (RFC 6531 3.5).
SENDER_NEEDS_SMTPUTF8 = Reply(550, "5.6.7", "a sender beyond ASCII needs SMTPUTF8")
RECIPIENT_NEEDS_SMTPUTF8 = Reply(553, "5.6.7", "a recipient beyond ASCII needs SMTPUTF8")
TOO_MANY_RECIPIENTS = Reply(452, "4.5.3", "too many recipients, send the rest in another transaction")


def bad_sender(why: str) -> Reply:
    """501 5.1.7: the reverse-path is not one."""
    return Reply(501, "5.1.7", f"bad sender: {why}")


def bad_recipient(why: str) -> Reply:
    """501 5.1.3: the forward-path is not one."""
    return Reply(501, "5.1.3", f"bad recipient: {why}")


def no_such_user(address: str) -> Reply:
    """550 5.1.1: the domain is ours, the mailbox is not there."""
    return Reply(550, "5.1.1", f"no such user here: <{address}>")


RELAY_DENIED = Reply(550, "5.7.1", "mail to other domains is for those who say who they are, with AUTH")
GREYLISTED = Reply(451, "4.7.1", "not seen before, try again later")


def no_mail_there(address: str) -> Reply:
    """556 5.1.10: the domain says that it takes no mail (a null MX, RFC 7505)."""
    return Reply(556, "5.1.10", f"the domain of <{address}> takes no mail")


def mailbox_full(address: str) -> Reply:
    """452 4.2.2: there is no room in the mailbox."""
    return Reply(452, "4.2.2", f"the mailbox of <{address}> is full")


def no_route(address: str) -> Reply:
    """550 5.1.2: nothing is known about how to reach the domain."""
    return Reply(550, "5.1.2", f"no route to the domain of <{address}>")


# -- the content ------------------------------------------------------------------------------------------------

START_DATA = Reply(354, "", "send the mail, end it with a line of a single dot")
TOO_BIG = Reply(552, "5.3.4", "the mail is bigger than SIZE allows")
HEADER_TOO_BIG = Reply(552, "5.3.4", "the mail's header is too big")
BARE_NEWLINE = Reply(550, "5.5.2", "the mail has a CR or an LF by itself, lines end in CRLF")
TOO_MANY_HOPS = Reply(554, "5.4.6", "too many hops, this mail is going round in circles")
NO_SPACE = Reply(452, "4.3.1", "no room to store the mail now, try again later")
OUR_FAULT = Reply(451, "4.3.0", "the mail could not be stored, try again later")


def chunk_taken(octets: int) -> Reply:
    """250 to a chunk that is not the last (RFC 3030 2)."""
    return Reply(250, "2.0.0", f"{octets} octets taken")


def stored(mail_id: str) -> Reply:
    """250 after the final dot: from here on the mail is ours."""
    return Reply(250, "2.0.0", f"taken as {mail_id}")


# -- what a relay says of a next hop that says nothing itself ---------------------------------------------------


def no_answer(host: str, why: str) -> Reply:
    """451 4.4.1: the next hop could not be reached."""
    return Reply(451, "4.4.1", f"{host} does not answer: {why}")


def no_such_domain(domain: str) -> Reply:
    """550 5.1.2: the name server says that there is no such name."""
    return Reply(550, "5.1.2", f"there is no domain {domain}")


def null_mx(domain: str) -> Reply:
    """556 5.1.10: the domain says that it takes no mail (RFC 7505)."""
    return Reply(556, "5.1.10", f"{domain} takes no mail")


def leads_back(domain: str) -> Reply:
    """550 5.4.6: the name server names this very server, which does not know the domain as its own."""
    return Reply(550, "5.4.6", f"mail for {domain} leads back to this server, which does not serve it")


def no_exchanger(domain: str) -> Reply:
    """550 5.4.4: the domain is there, and nothing says where its mail goes."""
    return Reply(550, "5.4.4", f"{domain} has no host that takes its mail")


def dns_trouble(name: str, why: str) -> Reply:
    """451 4.4.3: the name server does not say."""
    return Reply(451, "4.4.3", f"{name} could not be looked up: {why}")


def not_on_this_machine(host: str) -> Reply:
    """550 5.7.1: no test mails a real person."""
    return Reply(550, "5.7.1", f"{host} is not on this machine; allow_remote is needed to send mail there")


def connection_broke(host: str, why: str) -> Reply:
    """451 4.4.2: the next hop was reached, and the conversation broke off."""
    return Reply(451, "4.4.2", f"the connection to {host} broke: {why}")


def tls_failed(host: str, why: str) -> Reply:
    """451 4.7.5: TLS is demanded of the next hop, and did not come about."""
    return Reply(451, "4.7.5", f"no TLS with {host}: {why}")


def no_auth(host: str) -> Reply:
    """451 4.7.0: there is a password for the next hop, and it does not ask for one."""
    return Reply(451, "4.7.0", f"{host} does not offer AUTH PLAIN")


def lacks_8bitmime(host: str) -> Reply:
    """554 5.6.3: the mail has 8-bit octets and the next hop takes none (RFC 6152 3)."""
    return Reply(554, "5.6.3", f"{host} does not take 8-bit mail")


def lacks_smtputf8(host: str) -> Reply:
    """553 5.6.7: the mail has addresses beyond ASCII and the next hop takes none (RFC 6531 3.2)."""
    return Reply(553, "5.6.7", f"{host} does not take addresses beyond ASCII")


def expired(last: Reply) -> Reply:
    """451 4.4.7: tried for too long, and given up. ``last`` is what the last attempt met."""
    return Reply(451, "4.4.7", f"given up after trying for too long; last: {last}")
