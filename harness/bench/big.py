"""Cases: big mails. Octets a second, from the first octet of the content to the 250."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from harness.bench.case import OURS, AtMost, Beats, Case, Competitors, Measure, Missing, Setting
from harness.bench.engines import decode_by_stdlib
from harness.bench.load import Client, big_mail, digest, stuffed
from harness.bench.processes import Foreign, Own, maildev, node_smtp_server, own, smtp_sink

MIB = 1 << 20
Server = tuple[str, Callable[[], Foreign | Missing]]


def _sending(setting: Setting, servers: list[Server], octets: int, check: Callable[[str, Own], None]) -> Competitors:
    mail, _ = big_mail(octets)
    on_wire = stuffed(mail) + b".\r\n"

    def measure_of(name: str, server: Foreign) -> Measure:
        def measure() -> float:
            with Client(server.port) as client:
                client.begin()
                began = time.perf_counter()
                client.ask(on_wire, b"2")
                took = time.perf_counter() - began
            if isinstance(server, Own):
                check(name, server)
            return len(mail) / took / 1e6

        return measure

    found: dict[str, Measure | Missing] = {}
    for name, start in servers:
        server = Missing("left out") if setting.alone and name != OURS else start()
        found[name] = server if isinstance(server, Missing) else measure_of(name, server)
    return found


def _wire(setting: Setting, octets: int) -> Competitors:
    octets = setting.amount(octets, 20_000)
    due = digest(big_mail(octets)[0])

    def check(name: str, server: Own) -> None:
        if server.ask("digest") != due:
            raise AssertionError(f"{name}: the mail that arrived is not the one that was sent")

    servers: list[Server] = [
        (OURS, partial(own, setting, "session")),
        ("aiosmtpd no-op", partial(own, setting, "aiosmtpd")),
        ("smtp-sink", partial(smtp_sink, setting)),
        ("node smtp-server", partial(node_smtp_server, setting)),
    ]
    return _sending(setting, servers, octets, check)


def _decoded(setting: Setting, octets: int) -> Competitors:
    """What is on disk at the 250 is what was attached."""
    octets = setting.amount(octets, 20_000)
    attachment = big_mail(octets)[1]
    due = hashlib.sha256(attachment).digest()

    def check(name: str, server: Own) -> None:
        folder = setting.folder / ("pair" if name == OURS else "aiosmtpd-stdlib-email")
        newest = max(folder.glob("**/*.bin"), key=lambda path: path.stat().st_mtime_ns)
        if hashlib.sha256(newest.read_bytes()).digest() != due:
            raise AssertionError(f"{name}: {newest} is not what was attached")
        for path in folder.glob("**/*.bin"):  # a disk in memory fills
            path.unlink()

    servers: list[Server] = [
        (OURS, partial(own, setting, "pair")),
        ("aiosmtpd + stdlib", partial(own, setting, "aiosmtpd, stdlib email")),
        ("maildev", partial(maildev, setting)),
    ]
    return _sending(setting, servers, octets, check)


def _decode(setting: Setting) -> Competitors:
    from smtp_pair.disk import write_new
    from smtp_pair.mail.attachment import parse

    mail, attachment = big_mail(setting.amount(30 * MIB, 20_000))

    def ours() -> list[Path]:
        path = setting.folder / "ours.bin"
        [part] = parse(mail).attachments
        write_new(path, part.decode(), durable=False)
        return [path]

    def measure_of(decode: Callable[[], list[Path]]) -> Measure:
        def measure() -> float:
            began = time.perf_counter()
            [path] = decode()
            took = time.perf_counter() - began
            if path.read_bytes() != attachment:
                raise AssertionError(f"{path} is not what was attached")
            path.unlink()
            return len(mail) / took / 1e6

        return measure

    def written() -> list[Path]:
        path = setting.folder / "written.bin"
        write_new(path, [attachment], durable=False)
        return [path]

    return {
        OURS: measure_of(ours),
        "stdlib email": measure_of(partial(decode_by_stdlib, mail, setting.folder)),
        "os.write alone": measure_of(written),
    }


def _peak(setting: Setting, *, whole_process: bool = False) -> Competitors:
    """Memory at its peak while a mail comes in: how many times the mail, or all of it in MiB."""
    mail, _ = big_mail(setting.amount(30 * MIB, 20_000))
    on_wire = stuffed(mail) + b".\r\n"

    def measure_of(server: Own) -> Measure:
        idle = server.ask("memory")["VmRSS"]

        def measure() -> float:
            server.ask("forget")
            with Client(server.port) as client:
                client.begin()
                client.ask(on_wire, b"2")
            peak = float(server.ask("memory")["VmHWM"])
            return peak / MIB if whole_process else (peak - idle) / len(mail)

        return measure

    found: dict[str, Measure | Missing] = {}
    for name, engine in ((OURS, "pair"), ("aiosmtpd no-op", "aiosmtpd"), ("smtpdfix", "smtpdfix")):
        server = Missing("left out") if setting.alone and name != OURS else own(setting, engine)
        found[name] = server if isinstance(server, Missing) else measure_of(server)
    return found


CASES = (
    *(
        Case(
            f"big_mails_{mib}",
            f"a mail of {mib} MiB on the wire",
            "MB/s",
            partial(_wire, octets=mib * MIB),
            (Beats("aiosmtpd no-op", 12), Beats("smtp-sink", 2)),
            more_is_better=True,
        )
        for mib in (10, 30)
    ),
    Case(
        "decode",
        "30 MiB from memory, attachment decoded to disk",
        "MB/s",
        _decode,
        (Beats("stdlib email", 20),),
        more_is_better=True,
    ),
    *(
        Case(
            f"whole_path_{mib}",
            f"SMTP in, decoded file on disk, 250 out, {mib} MiB",
            "MB/s",
            partial(_decoded, octets=mib * MIB),
            (Beats("aiosmtpd + stdlib", 10), Beats("maildev", 5)),
            more_is_better=True,
        )
        for mib in (1, 10, 30)
    ),
    Case("peak_memory", "peak memory for a mail of 30 MiB, in mails", "x", _peak, (AtMost(2.5),), rounds=3),
    Case(
        "peak_process",
        "the whole process meanwhile, with decoding",
        "MiB",
        partial(_peak, whole_process=True),
        (AtMost(120),),
        rounds=3,
    ),
)
