"""The security lines: each has a test that is named for it, here or, for the admin, beside its pages."""

import re
from typing import Final

import pytest

from tests.house import source

LINES: Final = {
    "S1": "access tokens only",
    "S2": "no forged token",
    "S3": "HS256, issuer and audience, a key of its own",
    "S4": "15 minutes, 7 days, 30 days",
    "S5": "a refresh token works once",
    "S7": "a new password ends every token",
    "S8": "who is switched off is out",
    "S9": "who is deleted is out",
    "S10": "logout, a change of role or organization act at once",
    "S11": "guesses are counted, and nobody learns who exists",
    "S12": "nothing is sent without the terms, at any door",
    "S13": "keys of programs: a digest, shown once, never more than their member",
    "S14": "every view asks for a right",
    "S15": "a platform superuser does nothing for an organization",
    "S16": "ids in filters, keys and bodies reach nothing of others",
    "S17": "no id counts",
    "S18": "the classifying statement selects by organization, and the audit proves it",
    "S22": "a spending cap is never overrun, and stops where it cannot be asked",
    "S23": "only the organization's countries, and nothing premium or by satellite",
    "S25": "somebody is told at half of a cap, at four fifths and at the stop",
    "S26": "so many segments a text, so many contacts an audience",
    "S27": "above the organization's size another member decides, at every door",
    "S58": "the audit trail, written past the application",
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

OF_THE_ADMIN: Final = {
    "S12": "who has not accepted the terms is led to them",
    "S27": "another member sees the same preview and decides",
    "S28": "the same text within 24 hours is warned about, the approver too",
    "S51": "the deployment check is clean",
    "S52": "a short session, everybody with a role, wrong passwords counted",
    "S53": "broadcasting is a confirmed POST with a CSRF token; looking changes nothing",
    "S54": "lists, pages, completion, history and export are the organization's own",
    "S55": "evidence is read-only, for a superuser too",
    "S56": "markup stays text",
    "S57": "the headers of every answer",
    "S58": "what is exported is written down, and what is changed is found",
    "S59": "no cell is a formula, no file larger than it may be",
}


def found_in(*folders: str) -> set[str]:
    return {
        line
        for path in source.files()
        if path.parts[0] == "tests" and path.parts[1] in folders
        for line in re.findall(r"^def test_(S[0-9]+)_", source.text(path), flags=re.MULTILINE)
    }


FOUND: Final = found_in("security")
FOUND_OF_THE_ADMIN: Final = found_in("security", "admin", "config")


@pytest.mark.parametrize("line", LINES)
def test_the_line_is_shown(line: str) -> None:
    assert line in FOUND, LINES[line]


@pytest.mark.parametrize("line", OF_THE_ADMIN)
def test_the_line_of_the_admin_is_shown(line: str) -> None:
    assert line in FOUND_OF_THE_ADMIN, OF_THE_ADMIN[line]
