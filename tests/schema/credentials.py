"""Who schemathesis calls as: its `hooks`. The test wrote the credentials into the environment."""

import json
import os
from typing import Any, Final

import schemathesis

_HEADER, _VALUE = os.environ["PREGON_API_CREDENTIAL"].split(": ", 1)
_SESSIONS: Final[list[str]] = json.loads(os.environ["PREGON_API_SESSIONS"])


@schemathesis.auth(refresh_interval=None, retry_on=[]).skip_for(path="/api/auth/logout")
class Credential:
    """The one credential of the run."""

    def get(self, case: Any, context: Any) -> str:  # noqa: ARG002 - schemathesis' signature
        return _VALUE

    def set(self, case: Any, data: str, context: Any) -> None:  # noqa: ARG002 - as above
        case.headers[_HEADER] = data


@schemathesis.auth(refresh_interval=None, retry_on=[]).apply_to(path="/api/auth/logout")
class Session:
    """A session of its own for each logout, which ends it; the last one over and over."""

    def get(self, case: Any, context: Any) -> str:  # noqa: ARG002 - as above
        return _SESSIONS.pop() if len(_SESSIONS) > 1 else _SESSIONS[0]

    def set(self, case: Any, data: str, context: Any) -> None:  # noqa: ARG002 - as above
        case.headers["Authorization"] = data
