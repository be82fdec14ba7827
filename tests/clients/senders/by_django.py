"""Sends a mail with an attachment as an application of Django does."""

import os
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.mail import EmailMessage

BACKEND = "django.core.mail.backends.smtp.EmailBackend"
options: dict[str, Any] = {
    "host": os.environ["SMTP_HOST"],
    "port": int(os.environ["SMTP_PORT"]),
    "use_tls": bool(os.environ["SMTP_STARTTLS"]),
}
if os.environ["SMTP_USER"]:
    options |= {"username": os.environ["SMTP_USER"], "password": os.environ["SMTP_PASSWORD"]}
if django.VERSION >= (6, 1):
    settings.configure(MAILERS={"default": {"BACKEND": BACKEND, "OPTIONS": options}})
else:
    names = {"username": "HOST_USER", "password": "HOST_PASSWORD"}
    old = {f"EMAIL_{names.get(name, name.upper())}": value for name, value in options.items()}
    settings.configure(EMAIL_BACKEND=BACKEND, **old)
message = EmailMessage("From Django", "See the attachment.\n", os.environ["MAIL_FROM"], [os.environ["MAIL_TO"]])
message.attach("plans.bin", Path(os.environ["MAIL_FILE"]).read_bytes(), "application/octet-stream")
message.send()
