"""Sends a mail with an attachment as a program with the standard library does."""

import os
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path

message = EmailMessage()
message["From"], message["To"], message["Subject"] = os.environ["MAIL_FROM"], os.environ["MAIL_TO"], "From smtplib"
message.set_content("See the attachment.\n")
message.add_attachment(
    Path(os.environ["MAIL_FILE"]).read_bytes(), maintype="application", subtype="octet-stream", filename="plans.bin"
)
with smtplib.SMTP(os.environ["SMTP_HOST"], int(os.environ["SMTP_PORT"]), "client.example") as client:
    if os.environ["SMTP_STARTTLS"]:
        client.starttls(context=ssl.create_default_context())
    if os.environ["SMTP_USER"]:
        client.login(os.environ["SMTP_USER"], os.environ["SMTP_PASSWORD"])
    client.send_message(message)
