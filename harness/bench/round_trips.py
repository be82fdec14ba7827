"""Case: property tests with hypothesis, from a drawn attachment to the one that arrived."""

from __future__ import annotations

import email
import email.policy
import smtplib
import time
from collections.abc import Callable
from email.message import EmailMessage

from harness.bench.case import OURS, Beats, Case, Competitors, Measure, Setting
from harness.bench.engines import HOST, Handler, controller
from harness.bench.serve import Seen

_MOST = 1 << 14


def _round_trips(setting: Setting) -> Competitors:
    from smtp_pair.clients.message import Attachment
    from smtp_pair.network import Pair

    pair = setting.stack.enter_context(Pair(directory=setting.folder / "ours"))
    seen = Seen()
    port = 0 if setting.alone else controller(Handler(seen), setting.stack)

    def ours(attachment: Attachment) -> None:
        with pair.fresh():
            pair.jaku.send("luke@jaku.com", subject="x", attachments={attachment.filename: attachment.content})
            [mail] = pair.jaku.messages
            assert [each.content for each in mail.attachments] == [attachment.content]

    def stock(attachment: Attachment) -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "obiwan@jaku.com", "luke@jaku.com", "x"
        message.set_content("\n")
        message.add_attachment(attachment.content, "application", "octet-stream", filename=attachment.filename)
        with smtplib.SMTP(HOST, port, local_hostname="client.bench.test") as client:
            client.send_message(message)
        arrived = email.message_from_bytes(seen.content(), policy=email.policy.default)
        assert isinstance(arrived, EmailMessage)
        assert [each.get_content() for each in arrived.iter_attachments()] == [attachment.content]

    count = setting.amount(200, 3)
    trips = {OURS: ours, "stock and stdlib": stock, "generation alone": lambda attachment: None}
    return {name: _per_second(trip, count) for name, trip in trips.items()}


def _per_second(trip: Callable[..., None], count: int) -> Measure:
    from hypothesis import HealthCheck, Phase, given, seed, settings
    from hypothesis import strategies as st

    from smtp_pair import strategies as mail

    drawn = mail.attachments(filenames=st.just("plans.bin"), contents=mail.contents(max_size=_MOST))
    bounds = settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    number = 0

    def measure() -> float:
        nonlocal number
        number += 1
        made = 0

        @bounds
        @seed(number)  # the same mails for all competitors of a round
        @given(drawn)
        def property_(attachment: object) -> None:
            nonlocal made
            made += 1
            trip(attachment)

        began = time.perf_counter()
        property_()
        return made / (time.perf_counter() - began)

    return measure


CASES = (
    Case(
        "hypothesis_round_trips",
        "hypothesis: round trips a second, drawn, built, sent, decoded",
        "/s",
        _round_trips,
        (Beats("stock and stdlib", 5),),
        more_is_better=True,
    ),
)
