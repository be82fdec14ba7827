"""Flask-Mail sends its mail by the settings that it is told."""

from __future__ import annotations

import flask
import flask_mail

from tests.frameworks.conftest import Told


def test_flask_mail_sends(told: Told) -> None:
    """Under TESTING, over TLS and logged in where that is wanted."""
    app = flask.Flask(__name__)
    app.config.update(TESTING=True, **told.server.settings("flask-mail"))
    mail = flask_mail.Mail(app)
    with app.app_context():
        message = flask_mail.Message("Grüße", ["leia@deathstar.com"], "See the file.", sender="app@a.test")
        message.attach("plan.gif", "image/gif", b"GIF89a\x00\xff")
        mail.send(message)
    received = told.arrived("Grüße")
    assert received.attachments["plan.gif"].content == b"GIF89a\x00\xff"
