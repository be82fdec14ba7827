"""A small real DNS server for tests, on a loopback port: a table of records, and trouble on command.

network.dns.add("third.test", "MX", "10 mail.third.test")
network.dns.fail("third.test", "SERVFAIL")
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Literal, cast, get_args

from smtp_pair import background
from smtp_pair.mail.address import domain_key
from smtp_pair.mail.errors import ConfigError, StartError

Trouble = Literal["NXDOMAIN", "SERVFAIL", "REFUSED", "timeout", "wrong"]
"""``timeout``: no answer. ``wrong``: the answer to another question, which a resolver must not take for its own."""

_TTL = 0


class DnsServer:
    """Answers for the names in its table; for any other, that there is no such name. ``queries`` is what was asked.

    Its methods may be called from any thread, while it runs or before.
    """

    def __init__(self) -> None:
        try:
            import dns.message  # noqa: F401
        except ImportError:
            raise ConfigError("dns: needs a package that is not there: pip install 'smtp-pair[dns]'") from None
        self.host = "127.0.0.1"
        self.port = 0
        self.queries: list[tuple[str, str]] = []
        """Name and type of each question, in order."""
        self._records: dict[str, dict[str, list[str]]] = {}
        self._trouble: dict[str, Trouble] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._socket: socket.socket | None = None

    def add(self, name: str, kind: str, value: str) -> None:
        """Add a record: ``add("a.test", "MX", "10 smtp.a.test")``. Raises ConfigError for one that can't be."""
        import dns.exception
        import dns.rdata
        import dns.rdataclass
        import dns.rdatatype

        try:
            kind = dns.rdatatype.to_text(dns.rdatatype.from_text(kind))
            text = _absolute(kind, value)
            dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(kind), text)
        except (dns.exception.DNSException, ValueError) as error:
            raise ConfigError(f"no {kind} record: {value!r}: {error}") from None
        self._records.setdefault(domain_key(name), {}).setdefault(kind, []).append(text)

    def remove(self, name: str) -> None:
        """Take away all records of a name, and its trouble."""
        self._records.pop(domain_key(name), None)
        self._trouble.pop(domain_key(name), None)

    def fail(self, name: str, trouble: Trouble | None) -> None:
        """Answer every question about a name with trouble from now on; None: no more."""
        if trouble is None:
            self._trouble.pop(domain_key(name), None)
        elif trouble in get_args(Trouble):
            self._trouble[domain_key(name)] = trouble
        else:
            raise ConfigError(f"{trouble!r} is none of {', '.join(get_args(Trouble))}")

    def introduce(self, servers: Iterable[tuple[str, str]]) -> None:
        """Add the records of mail servers on this machine, domain and host name, where the names have none yet."""
        for domain, hostname in servers:
            if domain_key(domain) not in self._records:
                self.add(domain, "MX", f"10 {hostname}")
            if domain_key(hostname) not in self._records:
                self.add(hostname, "A", self.host)

    # -- start and stop: the network's to call -------------------------------------------------------------------------

    def bind(self) -> None:
        """Take the port; the same one after a stop. Raises StartError where somebody else has it."""
        if self._socket is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
            try:
                self._socket.bind((self.host, self.port))
            except OSError as error:
                self.unbind()
                why = f"the name server can't use {self.host}:{self.port}: {error.strerror}"
                raise StartError(error.errno, why) from None
            self.port = self._socket.getsockname()[1]

    def unbind(self) -> None:
        """Give the port up before anybody was answered."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def open(self) -> None:
        """Begin to answer."""
        loop = background.loop()
        self._transport, _ = await loop.create_datagram_endpoint(
            lambda: _Protocol(self.answer_or_none), sock=self._socket
        )

    async def close(self) -> None:
        """Stop."""
        if self._transport is not None:
            self._transport.close()
            self._transport = self._socket = None
        self.unbind()  # what was bound and never opened

    def answer_or_none(self, packet: bytes) -> bytes | None:
        """The answer to a query; None for silence, which is all that rubbish gets."""
        import dns.exception

        try:
            return self._answer(packet)
        except (dns.exception.DNSException, IndexError):
            return None

    def _answer(self, packet: bytes) -> bytes | None:
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rdatatype
        import dns.rrset

        query = dns.message.from_wire(packet)
        question = query.question[0]
        name, kind = question.name.to_text(omit_final_dot=True).lower(), dns.rdatatype.to_text(question.rdtype)
        self.queries.append((name, kind))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.AA
        trouble = self._trouble.get(name)
        records = self._records.get(name)
        if trouble == "timeout":
            return None
        if trouble == "wrong":
            answer.id ^= 1
        elif trouble is not None:
            answer.set_rcode(dns.rcode.from_text(trouble))
        elif records is None:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        elif records.get(kind):
            answer.answer.append(dns.rrset.from_text_list(question.name, _TTL, "IN", kind, records[kind]))
        return answer.to_wire()


class _Protocol(asyncio.DatagramProtocol):
    def __init__(self, answer: Callable[[bytes], bytes | None]) -> None:
        self._answer = answer
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, packet: bytes, address: tuple[str, int]) -> None:
        answer = self._answer(packet)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, address)


def _absolute(kind: str, value: str) -> str:
    """Names in records end with a dot, which nobody should have to think of."""
    if kind in ("MX", "CNAME", "NS"):
        *front, name = value.split()
        return " ".join([*front, name if name.endswith(".") else f"{name}."])
    return value
