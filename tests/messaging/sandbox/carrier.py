"""A sandbox carrier running as a process of its own, and what is asked of it in tests."""

import base64
import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import UUID, uuid4

from yarl import URL

from messaging.providers import signing
from messaging.providers.base import Batch, Callback, Credential, Outgoing, Result
from messaging.providers.twilio import Twilio
from tests.messaging.providers.batches import sent
from tests.messaging.providers.stand_in import StandIn

ROOT = Path(__file__).resolve().parents[3]
ACCOUNT = "AC" + "0a" * 16
TOKEN = "sandbox-token"
GOOD_FORM = {"To": "+573001112233", "From": "+15005550006", "Body": "Hola"}
RUN = (
    "import sys; from messaging.sandbox import server;"
    "import pathlib;"
    "server.run(host='127.0.0.1', port=0, reports=sys.argv[1], delay=float(sys.argv[2]),"
    " ready=lambda address: print(address, flush=True),"
    " state=pathlib.Path(sys.argv[3]) if sys.argv[3:] else None)"
)


class Carrier:
    """A running sandbox carrier."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.provider = Twilio(
            Credential(ACCOUNT, TOKEN), sender="+15005550006", base_url=URL(address)
        )

    def send(self, recipient: str, *, web: str = "", text: str = "Hola ☕") -> tuple[UUID, Result]:
        """Hand one message over with the real provider; its reports go to `web`."""
        message_id = uuid4()
        path = signing.callback_url("twilio", message_id).split("/api/", 1)[1]
        callback = f"{web or 'http://127.0.0.1:9'}/api/{path}"
        batch = Batch([Outgoing(message_id, recipient, callback)], text, "SMS")
        return message_id, sent(self.provider, batch)[message_id]

    def ask(
        self, method: str, path: str, body: str = "", **headers: str
    ) -> tuple[int, Any, dict[str, str]]:
        """Return status, body and headers of a plain request."""
        connection = http.client.HTTPConnection(urlsplit(self.address).netloc, timeout=60)
        connection.request(method, path, body, {n.replace("_", "-"): v for n, v in headers.items()})
        response = connection.getresponse()
        raw, lines = response.read().decode(), dict(response.getheaders())
        connection.close()
        if "json" not in lines.get("Content-Type", "") or "ndjson" in lines["Content-Type"]:
            return response.status, raw, lines
        return response.status, json.loads(raw), lines

    def post(self, form: dict[str, str], account: str = ACCOUNT) -> tuple[int, Any, dict[str, str]]:
        login = base64.b64encode(f"{account}:{TOKEN}".encode()).decode()
        return self.ask(
            "POST",
            f"/2010-04-01/Accounts/{account}/Messages.json",
            urlencode(form),
            Authorization=f"Basic {login}",
        )

    def misbehave(self, *rules: dict[str, object]) -> None:
        """Set these rules and no others."""
        self.ask("DELETE", "/_sandbox/behaviour")
        status, answer, _ = self.ask("POST", "/_sandbox/behaviour", json.dumps(rules))
        assert status == 201, answer

    def rules(self) -> list[dict[str, Any]]:
        return list(self.ask("GET", "/_sandbox/behaviour")[1])

    def write(self, **said: object) -> tuple[int, Any]:
        """Let somebody write an SMS to the site."""
        status, answer, _ = self.ask("POST", "/_sandbox/inbound", json.dumps(said))
        return status, answer

    def stats(self) -> dict[str, Any]:
        return dict(self.ask("GET", "/_sandbox/stats")[1])

    def accepted(self, query: str = "") -> list[dict[str, Any]]:
        text = self.ask("GET", f"/_sandbox/accepted{query}")[1]
        return [json.loads(line) for line in text.splitlines()]


@contextmanager
def running(
    reports: str = "final", delay: float = 0.05, *, state: Path | None = None
) -> Iterator[Carrier]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, reports, str(delay), *([str(state)] if state else [])],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    with process:
        try:
            assert process.stdout is not None
            yield Carrier(process.stdout.readline().strip())
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait until it holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about in time"
        time.sleep(0.02)


def callbacks(web: StandIn) -> list[Callback]:
    return [
        Callback(web.address + r.path, r.headers, r.body, r.headers["content-type"])
        for r in web.requests
    ]
