"""Calling the web as a client does, and keeping every answer for the question after the test."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

if TYPE_CHECKING:
    from tests.faults.harness.stack import Stack


@dataclass
class Answer:
    """What came back: a status with headers and body, or status 0 where the connection broke."""

    method: str
    path: str
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    broke: str = ""  # why, where the connection broke before the end
    may_break: bool = False
    seconds: float = 0.0

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json.get("code", ""))

    @property
    def queue_id(self) -> UUID:
        assert self.status in {200, 201}, self.text
        return UUID(self.json["queueId"])

    @property
    def text(self) -> str:
        return f"{self.method} {self.path} → {self.status} {self.broke} {self.body[:600]!r}"


class Client:
    """A client of the stack's web; every call has a connection of its own, so threads may share it."""

    def __init__(
        self, stack: Stack, token: Callable[[], str] | None = None, *, at: str = ""
    ) -> None:
        self._stack, self._token = stack, token
        self._at = at or f"127.0.0.1:{stack.port}"

    def at(self, address: str) -> Client:
        """Return the same client, as it calls another web of the stack."""
        return Client(self._stack, self._token, at=address)

    @property
    def token(self) -> str:
        """The access token that it sends."""
        assert self._token is not None
        return self._token()

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: Mapping[str, str] | None = None,
        may_break: bool = False,
        timeout: float = 120,
    ) -> Answer:
        """Return the answer, whatever its status. `may_break` says that a broken connection is expected,
        because the test kills who answers; otherwise it fails the test."""
        answer = Answer(method, path, may_break=may_break)
        self._stack.answers.append(answer)
        own = {"Content-Type": "application/json"} if body is not None else {}
        if self._token is not None:
            own["Authorization"] = f"Bearer {self._token()}"
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(self._at, timeout=timeout)
        began = time.monotonic()
        try:
            connection.request(method, path, content, {**own, **(headers or {})})
            response = connection.getresponse()
            answer.headers = {name.lower(): value for name, value in response.getheaders()}
            answer.body = response.read()
            answer.status = response.status
        except (OSError, http.client.HTTPException) as error:
            answer.broke = repr(error)
            if isinstance(error, http.client.IncompleteRead):
                answer.body = error.partial
        finally:
            connection.close()
            answer.seconds = time.monotonic() - began
        return answer

    def send(
        self, text: str = "Hola", *, key: str | None = None, may_break: bool = False, **fields: Any
    ) -> Answer:
        """POST a broadcast to all contacts; with an Idempotency-Key where one is given."""
        return self.call(
            "POST",
            "/api/messages/sms/all",
            {"message": text, **fields},
            headers={"Idempotency-Key": key} if key is not None else None,
            may_break=may_break,
        )

    def queue(self, queue_id: UUID | str) -> Answer:
        return self.call("GET", f"/api/messages/queues/{queue_id}")

    def is_alive(self) -> bool:
        answer = self.call("GET", "/healthz", may_break=True, timeout=10)
        return answer.status == 200
