"""Sends a mail with an attachment as an application of Flask with Flask-Mail does."""

import os
from pathlib import Path

from flask import Flask
from flask_mail import Mail, Message

app = Flask(__name__)
app.config.update(
    MAIL_SERVER=os.environ["SMTP_HOST"],
    MAIL_PORT=int(os.environ["SMTP_PORT"]),
    MAIL_USE_TLS=bool(os.environ["SMTP_STARTTLS"]),
    MAIL_USERNAME=os.environ["SMTP_USER"] or None,
    MAIL_PASSWORD=os.environ["SMTP_PASSWORD"] or None,
)
mail = Mail(app)
message = Message(
    "From Flask-Mail", sender=os.environ["MAIL_FROM"], recipients=[os.environ["MAIL_TO"]], body="See the attachment.\n"
)
message.attach("plans.bin", "application/octet-stream", Path(os.environ["MAIL_FILE"]).read_bytes())
with app.app_context():
    mail.send(message)
