"""What carriers have been known to answer, and what no carrier should."""

import pytest

from tests.messaging.providers.stand_in import drips, hangs, resets, sends

# The answer does not arrive whole, or not in time.
LOST = [
    pytest.param(hangs, id="no answer"),
    pytest.param(resets(), id="reset"),
    pytest.param(sends(b"", close=True), id="closed"),
    pytest.param(resets(b"HTTP/1.1 201 Created\r\nContent-Le"), id="reset in the head"),
    pytest.param(
        resets(b'HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"sid": "SM'),
        id="reset in the body",
    ),
    pytest.param(
        sends(b"HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{}", close=True),
        id="truncated",
    ),
    pytest.param(sends(b"HTTP/1.1 201 Created\r\nContent-Length: 9\r\n\r\n"), id="no body"),
    pytest.param(sends(b"\x16\x03\x01 this is no HTTP\r\n\r\n", close=True), id="no HTTP"),
    pytest.param(
        sends(b"HTTP/1.1 201 C\r\nX: " + b"x" * 70_000 + b"\r\n\r\n", close=True),
        id="endless header",
    ),
    pytest.param(drips(b"HTTP/1.1 201 Created\r\n" + b"X: y\r\n" * 99, 0.1), id="drips"),
]

# (body, encoding) of a success that is no JSON.
UNREADABLE = [
    pytest.param(b"", "", id="empty"),
    pytest.param(b"<html>fine</html>", "", id="HTML"),
    pytest.param(b'{"sid": "SM', "", id="half"),
    pytest.param(b"[" * 200_000, "", id="nested"),
    pytest.param(b"9" * 10_000, "", id="huge number"),
    pytest.param(b"\xff\xfe\x00", "", id="no UTF-8"),
    pytest.param(b"{}", "gzip", id="no gzip"),
    pytest.param(b"{}", "br", id="unasked encoding"),
]

# JSON of a success that says nothing.
STRANGE = [
    b"null",
    b"[]",
    b'"SM"',
    b'{"sid": 7, "messages": 7, "results": 7, "status": []}',
    b'{"sid": "SM\\u0000", "id": "\\ud800"}',
]
