"""The real web server on a port of its own, serving the tests' database."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from django.db import connection

from config import parts
from tests.ports import free_port

ROOT: Final = Path(__file__).resolve().parents[2]


def database_url() -> str:
    """Return where the tests' database is, for another process."""
    given = connection.settings_dict
    user = f"{given['USER']}:{quote(given['PASSWORD'], safe='')}@"
    place = f"{given['HOST']}:{given['PORT']}" if given["PORT"] else ""
    if not given["HOST"].startswith("/"):
        return f"postgresql://{user}{place or given['HOST']}/{given['NAME']}"
    port = f"&port={given['PORT']}" if given["PORT"] else ""
    return f"postgresql://{user}/{given['NAME']}?host={quote(given['HOST'], safe='')}{port}"


class Web:
    """A web server that runs. Ask it with `request`, from any thread."""

    def __init__(self, port: int, log: Path) -> None:
        self.port, self.log = port, log

    def request(
        self, method: str, path: str, *, token: str = "", body: object = None, **headers: str
    ) -> tuple[int, Any]:
        """Return status and JSON of one request on a connection of its own."""
        given = {"Content-Type": "application/json", **headers}
        if token:
            given["Authorization"] = f"Bearer {token}"
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        ) as link:
            link.request(method, path, None if body is None else json.dumps(body), given)
            answer = link.getresponse()
            return answer.status, json.loads(answer.read() or "null")

    def raw(self, request: bytes) -> bytes:
        """Return what the server answers to these very bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as link:
            link.sendall(request)
            answer = b""
            with contextlib.suppress(ConnectionResetError):
                while chunk := link.recv(65_536):
                    answer += chunk
        return answer


@contextlib.contextmanager
def serving(log: Path, **environment: str) -> Iterator[Web]:
    """Run the web server as `manage.py up` starts it; its log goes to the file."""
    port = free_port()
    command = parts.here(parts.web(bind=f"127.0.0.1:{port}"))
    given: Mapping[str, str] = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "RATE_LIMIT": "off",
        **environment,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=ROOT, env=given, stdout=output, stderr=output)
    try:
        web = Web(port, log)
        _wait_until_it_answers(web, process)
        yield web
    finally:
        process.terminate()
        process.wait(timeout=90)


def _wait_until_it_answers(web: Web, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + 120
    while time.monotonic() < limit and process.poll() is None:
        with contextlib.suppress(OSError):
            if web.raw(b"GET /healthz HTTP/1.0\r\n\r\n").startswith(b"HTTP/1."):
                return
        time.sleep(0.1)
    raise AssertionError(f"The web server does not answer:\n{web.log.read_text()}")
