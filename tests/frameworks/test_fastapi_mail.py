"""FastAPI-Mail sends its mail by the settings that it is told, also as a background task of an application."""

from __future__ import annotations

import pytest

from tests.frameworks.conftest import Told, hung_up

fastapi_mail = pytest.importorskip("fastapi_mail", reason="FastAPI-Mail is in the group frameworks")


def _message(subject: str) -> object:
    kind = fastapi_mail.MessageType.plain
    return fastapi_mail.MessageSchema(subject=subject, recipients=["leia@deathstar.com"], body="Hello.", subtype=kind)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_fastapi_mail_sends(told: Told) -> None:
    """Its certificate verified where there is one, by the file of the authority."""
    told_so = fastapi_mail.ConnectionConfig(**told.server.settings("fastapi-mail"))
    assert told_so.VALIDATE_CERTS
    await fastapi_mail.FastMail(told_so).send_message(_message("Grüße"))
    await hung_up()
    assert told.arrived("Grüße").text.strip() == "Hello."


def test_an_application_sends_when_it_has_answered(told: Told) -> None:
    """As FastAPI's documentation does it, with a client that blocks."""
    fastapi = pytest.importorskip("fastapi", reason="FastAPI is in the group frameworks")
    testclient = pytest.importorskip("fastapi.testclient", reason="FastAPI is in the group frameworks")
    app = fastapi.FastAPI()
    told_so = fastapi_mail.ConnectionConfig(**told.server.settings("fastapi-mail"))

    def order(tasks):  # type: ignore[no-untyped-def]  # the annotation is FastAPI's, which may not be there
        tasks.add_task(fastapi_mail.FastMail(told_so).send_message, _message("Ordered"))
        tasks.add_task(hung_up)

    order.__annotations__ = {"tasks": fastapi.BackgroundTasks}
    app.post("/orders")(order)
    with testclient.TestClient(app) as client:
        assert client.post("/orders").status_code == 200
    told.arrived("Ordered")
