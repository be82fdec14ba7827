"""Sends a mail with an attachment as a program with aiosmtplib does."""

import asyncio
import os
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib

message = EmailMessage()
message["From"], message["To"], message["Subject"] = os.environ["MAIL_FROM"], os.environ["MAIL_TO"], "From aiosmtplib"
message.set_content("See the attachment.\n")
message.add_attachment(
    Path(os.environ["MAIL_FILE"]).read_bytes(), maintype="application", subtype="octet-stream", filename="plans.bin"
)
asyncio.run(
    aiosmtplib.send(
        message,
        hostname=os.environ["SMTP_HOST"],
        port=int(os.environ["SMTP_PORT"]),
        local_hostname="client.example",
        start_tls=bool(os.environ["SMTP_STARTTLS"]),
        username=os.environ["SMTP_USER"] or None,
        password=os.environ["SMTP_PASSWORD"] or None,
    )
)
