"""The security lines of callbacks, secrets and logs: each has a test here that is named for it."""

import re
from typing import Final

import pytest

from tests.house import source

LINES: Final = {
    "S18": "the classifying statement selects by organization, and the audit proves it",
    "S60": "a carrier's signature over PUBLIC_URL, two tokens during rotation, 403 before reading",
    "S61": "a replay is harmless",
    "S62": "our own token in the address, under earlier keys too",
    "S63": "64 kB and 100 fields at most, answered fast",
    "S65": "provider addresses from settings alone, hosts on a list",
    "S66": "secrets from variables and files only, shown nowhere",
    "S67": "numbers masked, texts and tokens out of every log",
    "S68": "a line break in a text forges no log line",
    "S69": "tasks are told ids only",
    "S71": "health names no organization and no secret",
    "S72": "Redis with a password on no public port; the serving role owns nothing",
}

FOUND: Final = {
    line
    for path in source.files()
    if path.parts[:2] == ("tests", "security")
    for line in re.findall(r"^def test_(S[0-9]+)_", source.text(path), flags=re.MULTILINE)
}


@pytest.mark.parametrize("line", LINES)
def test_the_line_is_shown(line: str) -> None:
    assert line in FOUND, LINES[line]
