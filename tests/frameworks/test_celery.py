"""A Celery worker sends its mail to the pair: its tasks run on threads or in processes of their own."""

from __future__ import annotations

import os
import smtplib
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from smtp_pair import Pair

celery = pytest.importorskip("celery", reason="Celery is in the group frameworks")

WORKER = """
    import os, smtplib
    from celery import Celery

    folder = os.environ["QUEUE"]
    app = Celery("shop", broker="filesystem://")
    app.conf.broker_transport_options = {
        "data_folder_in": folder, "data_folder_out": folder, "control_folder": folder + "-control"
    }

    @app.task
    def confirm(to):
        with smtplib.SMTP(os.environ["SMTP_HOST"], int(os.environ["SMTP_PORT"]), local_hostname="worker") as client:
            client.sendmail("shop@jaku.com", [to], "Subject: Confirmed\\r\\n\\r\\nThanks.")
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning:celery", "ignore::DeprecationWarning:kombu")
@pytest.mark.usefixtures("mail_env")
def test_a_worker_in_the_tests_own_process(mail_pair: Pair) -> None:
    """celery.contrib.testing's, with a broker in memory."""
    from celery.contrib.testing.worker import start_worker

    app = celery.Celery("shop", broker="memory://", backend="cache+memory://")

    @app.task  # type: ignore[untyped-decorator]
    def confirm(to: str) -> None:
        with smtplib.SMTP(os.environ["SMTP_HOST"], int(os.environ["SMTP_PORT"]), local_hostname="worker") as client:
            client.sendmail("shop@jaku.com", [to], "Subject: Confirmed\r\n\r\nThanks.")

    with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=30):
        confirm.delay("leia@deathstar.com").get(timeout=30)
    assert mail_pair.deathstar.wait_for(subject="Confirmed").hops == ["smtp.jaku.com", "smtp.deathstar.com"]


@pytest.mark.usefixtures("mail_env")
def test_a_worker_of_its_own(mail_pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`celery worker` as it is run in production, told by the environment."""
    (tmp_path / "shop.py").write_text(textwrap.dedent(WORKER))
    queue = tmp_path / "queue"
    queue.mkdir()
    monkeypatch.setenv("QUEUE", str(queue))
    ask = [sys.executable, "-c", "import shop; shop.confirm.delay('leia@deathstar.com')"]
    subprocess.run(ask, cwd=tmp_path, check=True, timeout=60)
    options = ["--pool", "solo", "--without-gossip", "--without-mingle", "--without-heartbeat"]
    worker = subprocess.Popen(
        [sys.executable, "-m", "celery", "-A", "shop", "worker", *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert mail_pair.deathstar.wait_for(subject="Confirmed", timeout=60).text == "Thanks.\n"
    finally:
        worker.terminate()
        worker.communicate(timeout=60)
