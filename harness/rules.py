"""The rules on the wire, C1 to C94, as data: where each is written, and what it says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. ``section`` is of RFC 5321 unless it names another."""

    section: str
    says: str


RULES: Mapping[int, Rule] = {
    # -- the session
    1: Rule("3.1, 4.2", "The greeting is 220 with the host's name first."),
    2: Rule("4.1.1.1", "EHLO is answered with a line for each extension, HELO with one; both want a name."),
    3: Rule("4.1.4", "MAIL waits for EHLO."),
    4: Rule("4.1.4", "RCPT waits for MAIL."),
    5: Rule("3.3, 4.1.1.4", "DATA waits for a recipient that was accepted."),
    6: Rule("4.1.4", "A second MAIL has no place in an open transaction."),
    7: Rule("4.1.4", "Another EHLO ends the transaction."),
    8: Rule("4.1.1.5", "RSET ends the transaction, whatever was in it, and nothing else."),
    9: Rule("4.1.1.9", "NOOP does nothing, with and without an argument."),
    10: Rule("3.5.3, 7.3", "VRFY never tells who is a user."),
    11: Rule("4.1.1.7, 7.3", "EXPN is not offered."),
    12: Rule("4.1.1.8", "HELP names the commands."),
    13: Rule("4.1.1.10", "QUIT is answered before the connection is closed; an open transaction delivers nothing."),
    14: Rule("2.4", "Verbs and keywords are the same in any case."),
    15: Rule("4.2.4, 4.3.2", "An unknown command is refused, and the session goes on."),
    16: Rule("4.1.1.4", "DATA has no argument."),
    17: Rule("4.1.1.11", "A parameter that no offered extension defines is refused."),
    18: Rule(
        "4.5.3.1.4; RFC 1870, 3461, 4954, 6152, 6531",
        "A command line may have 512 octets, and what the extensions add; "
        "a longer one gets one refusal, and its tail is never a command.",
    ),
    19: Rule("4.5.3.1.1, 4.5.3.1.2", "A local part has up to 64 octets, a domain up to 255."),
    20: Rule("4.5.3.1.6", "Lines of 998 octets and longer ones are kept as they are, never split."),
    21: Rule("4.5.3.1.5", "No line of a reply is longer than 512 octets."),
    22: Rule("4.5.3.2.7", "A client that says nothing for too long is told so, and the connection closed."),
    23: Rule("3.8", "A server that stops tells its clients."),
    24: Rule("4.3.2, 7.8", "Too many errors, commands or connections end a session."),
    # -- enhanced codes
    25: Rule("RFC 2034 4", "Each line of a reply has an enhanced code of its class; the greeting, EHLO and 3xx none."),
    26: Rule("RFC 2034, 3463", "Senders, recipients and mails that are taken have codes of their own."),
    # -- recipients and relaying
    27: Rule("3.3; RFC 3463 3.2", "Where users are named, another one is unknown."),
    28: Rule("3.6.2, 7.9", "Who may not relay is refused."),
    29: Rule("2.3.11, 4.1.2", "%, !, /, | and a quoted @ mean nothing in a local part; a second bare @ is a mistake."),
    30: Rule("3.6.1, C", "A source route is stripped, never followed."),
    31: Rule("2.4", "Domains match in any case; the case of a local part is kept on the way."),
    32: Rule("4.1.2", "A quoted local part is the same mailbox as the one without quotes."),
    33: Rule("4.1.3", "The host's own address literals are its own domain, others lead nowhere."),
    34: Rule("4.5.1", "postmaster always exists, with and without a domain."),
    35: Rule("4.1.1.3", "The null path receives no mail."),
    36: Rule("4.5.5", "The null path sends mail, and is empty, not a text."),
    37: Rule("4.5.3.1.8, 4.5.3.1.10", "100 recipients are taken; those past the limit are put off, the others served."),
    38: Rule("4.1.2; RFC 3463 3.2", "No control character is in an address."),
    39: Rule("2.3.5, 4.1.2; RFC 3463 3.2", "An empty or malformed domain is refused."),
    40: Rule("3.3, 4.5.4.1", "Each recipient has a reply of its own; one copy goes to each domain."),
    41: Rule("RFC 7505 4.1", "A domain that says it takes no mail (a null MX) gets none."),
    42: Rule(
        "3.6.2; RFC 3463 3.2",
        "A domain that nothing leads to is refused, or, if so told, its mail is bounced, or only recorded.",
    ),
    43: Rule(
        "4.2.5; RFC 3463 3.3, 3.4",
        "A full mailbox, a full disk or a fault of ours puts a mail off, and tells nothing of us.",
    ),
    # -- data
    44: Rule("4.1.1.4", "Only CRLF.CRLF ends a mail."),
    45: Rule("2.3.8", "A bare CR or LF becomes CRLF, or, if so told, is refused; it is never stored or sent on."),
    46: Rule("4.5.2", "A dot that begins a line is doubled on the wire and nowhere else."),
    47: Rule("4.2.5, 6.1", "A mail that was answered with 250 is stored."),
    48: Rule("4.1.1.4, 4.1.1.10", "A mail whose end did not come is not delivered."),
    49: Rule("4.1.1.4, 6.1", "The reply to a mail comes as soon as it is stored."),
    50: Rule("4.1.1.4; RFC 6152 3", "NUL and octets above 127 are kept."),
    51: Rule("3.3, 6.4", "A mail without From or Date, or without any header, is taken as it is."),
    52: Rule("RFC 1870 4", "SIZE is offered with the largest mail that is taken."),
    53: Rule("RFC 1870 6.1", "A mail that is declared too big is refused at MAIL."),
    54: Rule("RFC 1870 4", "A mail that is too big is refused after its end, and the session goes on."),
    55: Rule("RFC 1870 3", "A size is 1 to 20 digits."),
    56: Rule("RFC 1870 6.3", "A mail that is bigger than it was declared, and not too big, is taken."),
    # -- extensions
    57: Rule("RFC 2920 3.2", "Commands sent in one group are answered in their order."),
    58: Rule("RFC 2920 3.1", "A mail that is sent before it was asked for is refused."),
    59: Rule("RFC 3030 2", "BDAT takes a mail in chunks of any octets; those of a chunk that is refused are skipped."),
    60: Rule("RFC 6152 3", "BODY=8BITMIME is taken, and the octets are kept."),
    61: Rule("RFC 6152 3", "Mail with octets above 127 fails where the next hop takes none."),
    62: Rule("RFC 6531 3.1, 3.6", "With SMTPUTF8 the content may have octets above 127, with and without BODY."),
    63: Rule("RFC 6531 3.4, 3.5", "An address beyond ASCII needs SMTPUTF8."),
    64: Rule("RFC 6531 3.2", "Internationalised mail fails where the next hop takes none."),
    65: Rule("RFC 6531 3.3", "An address that is not valid UTF-8 is refused."),
    66: Rule("RFC 6531 3.2; RFC 5890", "A domain in U-labels and the same one in A-labels are one domain."),
    # -- TLS and AUTH
    67: Rule("RFC 3207 4", "STARTTLS has no argument, and is refused where it is not offered."),
    68: Rule("RFC 3207 4.2", "At the upgrade all that was said before is forgotten."),
    69: Rule("RFC 4954 4, 6", "AUTH answers each mistake with a code of its own."),
    # -- trace
    70: Rule("4.4", "Each hop puts one Received field on top."),
    71: Rule("4.4", "Final delivery puts one Return-Path field on top, and nobody else does."),
    72: Rule("6.3", "A mail of 100 hops, or five of them at one server, goes round in circles, and is refused."),
    73: Rule("6.3", "Aliases that lead to each other end with one notification."),
    74: Rule("6.4", "The mail below the trace fields stays the same, octet for octet."),
    75: Rule("7.2", "No recipient learns of another one."),
    # -- the queue
    76: Rule("4.5.4.1", "What was put off is tried again, after longer and longer times; what was refused is not."),
    77: Rule("4.5.4.1", "Each recipient has a state of its own, and gets the mail once."),
    78: Rule("4.2.1", "Only the first digit of a reply decides."),
    79: Rule("4.5.4.1, 6.1", "A connection that broke before the reply is tried again."),
    80: Rule("4.5.4.1", "The queue survives a restart; what is too old is given up."),
    81: Rule("4.5.4.1", "One mail that can't be sent holds no other up."),
    # -- notifications
    82: Rule("4.5.5, 6.1", "A notification comes from the null path, and goes to the reverse-path."),
    83: Rule("4.5.5", "No notification is sent about a mail from the null path."),
    84: Rule("RFC 3464 2", "A notification is a multipart/report that programs can read."),
    85: Rule("6.1; RFC 3464", "One notification tells of all recipients that failed at the same time."),
    86: Rule("RFC 3461 4", "NOTIFY, RET, ENVID and ORCPT are heeded and passed on."),
    87: Rule("RFC 3834 5", "A notification says that no person wrote it."),
    88: Rule("6.1", "A notification is queued like any mail, and dropped, with a record, where it can't be delivered."),
    # -- MIME, to disk
    89: Rule("RFC 2045 6.8", "Characters that are not of base64 are ignored."),
    90: Rule("RFC 2045 6.7, 6.1", "Soft line breaks vanish; content in an unknown encoding is kept as it is."),
    91: Rule("RFC 2046 5.1.1", "Preamble and epilogue are ignored; a last boundary may be missing."),
    92: Rule("RFC 2231, 2047", "Names that are continued, or in another charset, are decoded."),
    93: Rule("RFC 2183 2.3, 5", "A path in a name is never used; attachments of one name are all kept."),
    94: Rule("RFC 2046 5.2.1", "An attached mail is kept whole."),
}
