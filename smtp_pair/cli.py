"""The command line: ``smtp-pair up``, ``send``, ``compose``, ``queue``, ``show``, ``report``, ``demo``.

What a command needs is imported when it runs, so that ``--help`` and ``--version`` answer at once.

Exit codes: 0 when all went well, 1 when it did not, 2 for bad input, named in one line on standard error; 130 after
Ctrl-C. ``up`` runs until Ctrl-C or SIGTERM, and ends with 0 then.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from smtp_pair import __version__
from smtp_pair.mail.errors import ConfigError, SmtpPairError

if TYPE_CHECKING:
    from smtp_pair.routes import NextHop

T = TypeVar("T")
FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

_UP = """\
run the servers until Ctrl-C, and show each mail

Without --config these are smtp.jaku.com on localhost:1025 and smtp.deathstar.com on localhost:1030, on IPv4 and IPv6.
Each keeps its mail in a folder of its own in DIR, and finds there on a restart what it still has to pass on."""
_SEND = """\
send one mail with three attachments to three recipients in three domains

Given to jaku.com's server as it is, the mail meets all that can happen to one: a recipient at home there, one on
another server, one that no route leads to. The exit code is 0 when at least one was accepted, 1 when none was."""
_COMPOSE = """\
write a mail, asked for piece by piece, and send it

Files are picked in a dialogue where there is a screen, else at a prompt where Tab completes the path. The exit code is
0 when at least one recipient was accepted, 1 when none was."""
_DEMO = """\
start the two servers, send the mail of `smtp-pair send`, show what becomes of it, and check it

The exit code is 0 when all three outcomes are right and every file on disk has the digest of the one that was sent.
The servers' folders are shown, and then removed if all is well; --data keeps them."""


_QUEUE = """\
show what waits on the servers in DIR, try it now, or drop it

Whether the servers run or not. Without an action, all that waits is listed."""
_SHOW = """\
print a mail of the servers in DIR

Where it came from, what became of it, its header decoded, its text and what is attached to it. Nothing in it can reach
the terminal. MAIL is its id, or the beginning of it; without one it is the last mail that came."""
_REPORT = """\
make one HTML file of a folder: what was said, the mails, what became of them

DIR is a folder of test results (test-results), of one test in it, or of servers (what `up --data` has). The file needs
no network and no script."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; gives its exit code. Raises SystemExit where argparse has said all: bad usage, --help."""
    if sys.stdout is None:  # whoever started us has closed it
        with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
            return main(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a title in any script, on a terminal of any encoding
    command = "smtp-pair"
    try:
        try:
            options = _parser().parse_args(argv)
            command = f"smtp-pair {options.command}"
            code: int = options.run(options)
            return code
        finally:
            sys.stdout.flush()
    except SmtpPairError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        if not isinstance(error, BrokenPipeError):  # which only says that whoever reads the output has had enough
            print(f"{command}: {error}", file=sys.stderr)
        _drop_output()
        return FAILED


def _drop_output() -> None:
    """What is left in the buffer of an output that can't be written would be the same error again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _parser() -> argparse.ArgumentParser:
    description = "A small internet of mail on this machine, for tests and for looking at."
    parser = argparse.ArgumentParser("smtp-pair", description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"smtp-pair {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def command(name: str, run: Callable[[argparse.Namespace], int], text: str) -> argparse.ArgumentParser:
        summary, _, more = text.partition("\n\n")
        description = f"{summary[0].upper()}{summary[1:]}. {more}"
        made = commands.add_parser(name, help=summary, description=description, allow_abbrev=False)
        made.set_defaults(run=run)
        return made

    _up_options(command("up", _up, _UP))
    _send_options(command("send", _send, _SEND))
    _compose_options(command("compose", _compose, _COMPOSE))
    _queue_options(command("queue", _queue, _QUEUE))
    _show_options(command("show", _show, _SHOW))
    _report_options(command("report", _report, _REPORT))
    demo = command("demo", _demo, _DEMO)
    demo.add_argument("--data", metavar="DIR", type=Path, help="where the servers' folders go, and stay")
    _tui_option(demo)
    return parser


# -- up ----------------------------------------------------------------------------------------------------------------


def _up_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--data", metavar="DIR", type=Path, default=Path(), help="where the servers' folders are (this folder)")
    add("--config", metavar="FILE", type=Path, help="the domains to serve and the routes to others, in TOML")
    add("--host", default="localhost", help="the address of this machine to listen on (localhost: 127.0.0.1 and ::1)")
    add(
        "--port",
        metavar="DOMAIN=PORT",
        type=_port,
        action="append",
        default=[],
        help="the port of a domain's server, 0 for a free one; can be repeated: --port jaku.com=2525",
    )
    add(
        "--unreachable",
        choices=("refuse", "bounce", "ignore"),
        help="a recipient that no route leads to: refuse it with 550, take the mail and tell its sender, or record it",
    )
    add(
        "--ready-file",
        metavar="FILE",
        type=Path,
        help="written once all servers listen, and removed when they stop: a line `DOMAIN HOST PORT` for each",
    )
    add(
        "--fault",
        metavar="WORDS",
        action="append",
        default=[],
        help="what the servers do wrong, or, with domain=NAME, one of them; can be repeated: "
        "--fault 'RCPT reject \"451 4.3.0\" times=2 to=vader@*'",
    )
    add(
        "--fault-addresses",
        action="store_true",
        help="addresses may ask for a fault: a local part, or what follows its last +, that ends in a code (451), "
        "temperror, permerror or timeout: a recipient for the answer to the mail, or, beginning with rcptto, to RCPT; "
        "a sender, beginning with mailfrom, for that to MAIL",
    )
    _tui_option(parser)


def _tui_option(parser: argparse.ArgumentParser) -> None:
    help_text = "panes side by side, with keys, instead of lines (? in them tells the keys); needs the extra tui"
    parser.add_argument("--tui", action="store_true", help=help_text)


def _port(text: str) -> tuple[str, int]:
    name, _, number = text.rpartition("=")
    if not name or not number.isascii() or not number.isdecimal() or int(number) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not DOMAIN=PORT, with a port from 0 to 65535")
    return name, int(number)


def _up(options: argparse.Namespace) -> int:
    from smtp_pair import up

    settings = up.Settings(
        options.data,
        options.config,
        options.host,
        dict(options.port),
        options.unreachable,
        options.ready_file,
        options.fault,
        options.fault_addresses,
        options.tui,
    )
    return up.run(settings)


# -- send and compose --------------------------------------------------------------------------------------------------


def _send_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _server_option(parser, "localhost:1025")
    add("--from", dest="sender", metavar="ADDRESS", help="the sender (luke@jaku.com)")
    add("--to", metavar="ADDRESS", action="append", help="a recipient instead of the three; can be repeated")
    add("--title", help="the title")
    add("--text", help="the text")
    add("--attach", metavar="FILE", action="append", default=[], help="a further file to attach; can be repeated")
    add("--no-samples", action="store_true", help="leave the three sample files out")


def _compose_options(parser: argparse.ArgumentParser) -> None:
    _server_option(parser, "localhost:1030")
    parser.add_argument(
        "--from", dest="sender", metavar="ADDRESS", default="vader@deathstar.com", help="the sender (%(default)s)"
    )


def _server_option(parser: argparse.ArgumentParser, default: str) -> None:
    help_text = "the server, on this machine (%(default)s)"
    parser.add_argument("--server", metavar="HOST:PORT", type=_server, default=default, help=help_text)


def _server(text: str) -> NextHop:
    from smtp_pair import config
    from smtp_pair.routes import NextHop

    try:
        hop = config.destination(text, allow_remote=True)
    except ConfigError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not isinstance(hop, NextHop):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    if not config.is_loopback(hop.host):
        raise argparse.ArgumentTypeError(f"{hop.host!r} is not on this machine; no mail is sent to real people")
    return hop


def _send(options: argparse.Namespace) -> int:
    from smtp_pair.clients import samples, scripted
    from smtp_pair.clients.message import Attachable, Attachment, ClientError, Mailbox

    given: dict[str, Any] = {
        "sender": _of("--from", Mailbox.of, options.sender) if options.sender is not None else None,
        "recipients": [_of("--to", Mailbox.of, each) for each in options.to] if options.to else None,
        "title": options.title,
        "text": options.text,
    }
    attachments: list[Attachable] = [
        *(() if options.no_samples else samples.files()),
        *(_of("--attach", Attachment.read, each) for each in options.attach),
    ]
    mail = scripted.ScriptedMail(
        **{name: value for name, value in given.items() if value is not None}, attachments=attachments
    )
    try:
        return 0 if scripted.send(mail, options.server.host, options.server.port).accepted else FAILED
    except ClientError as error:
        print(f"smtp-pair send: {error}", file=sys.stderr)
        return FAILED


def _compose(options: argparse.Namespace) -> int:
    from smtp_pair.clients import interactive
    from smtp_pair.clients.message import Mailbox

    _of("--from", Mailbox.of, options.sender)
    return interactive.run(options.server.host, options.server.port, sender=options.sender)


def _of(option: str, read: Callable[[str], T], value: str) -> T:
    """What an option's value means. Raises ClientError, which names the option."""
    from smtp_pair.clients.message import ClientError

    try:
        return read(value)
    except ClientError as error:
        raise ClientError(f"{option}: {error}") from None


# -- queue -------------------------------------------------------------------------------------------------------------


def _queue_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data", metavar="DIR", type=Path, default=Path(), help="where the servers' folders are (here)"
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    for name, text in (("show", "print a mail that waits"), ("drop", "forget a mail, without telling anybody")):
        actions.add_parser(name, help=text, description=text).add_argument("mail", metavar="MAIL")
    text = "try a mail now, or all of them"
    actions.add_parser("retry", help=text, description=text).add_argument("mail", metavar="MAIL", nargs="?", default="")


def _queue(options: argparse.Namespace) -> int:
    from smtp_pair import queue_command

    match options.action:
        case "show":
            return queue_command.show(options.data, options.mail)
        case "retry":
            return queue_command.retry(options.data, options.mail)
        case "drop":
            return queue_command.drop(options.data, options.mail)
    return queue_command.show_all(options.data)


# -- show and report ---------------------------------------------------------------------------------------------------


def _show_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("mail", metavar="MAIL", nargs="?", default="", help="the mail's id, or the beginning of it (the last mail)")
    add("--data", metavar="DIR", type=Path, default=Path(), help="where the servers' folders are (here)")
    add("--raw", action="store_true", help="the mail as it is stored, octet for octet")


def _show(options: argparse.Namespace) -> int:
    from smtp_pair import show_command

    return show_command.main(options.data, options.mail, raw=options.raw)


def _report_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", metavar="DIR", type=Path, nargs="?", default=Path(), help="results, or servers' folders (here)")
    add("--output", metavar="FILE", type=Path, help="the file to write (mail.html in DIR)")


def _report(options: argparse.Namespace) -> int:
    from smtp_pair.report import command

    return command.main(options.folder, options.output)


# -- demo --------------------------------------------------------------------------------------------------------------


def _demo(options: argparse.Namespace) -> int:
    from smtp_pair import demo

    return demo.main(options.data, tui=options.tui)
