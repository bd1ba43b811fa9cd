"""What can go wrong in the domain has its row in config/api_errors.py, and its line in docs/api.md."""

import ast
import importlib
import re
from http import HTTPStatus
from typing import Any, Final

import pytest
from rest_framework.exceptions import APIException

from config import api_errors
from tests.house import source

DOMAIN: Final = ("accounts", "billing", "contacts", "messaging")

# Errors that never reach an API view, each with who catches it.
NOT_OF_THE_API: Final = {
    "accounts.members.NotYourself": "the admin says it in the form",
    "accounts.sessions.PasswordRefused": "the view turns it into the field that is wrong",
    "accounts.terms.TermsPublished": "the admin says it in the form",
    "billing.ledger.InvalidAmount": "the admin says it in the form",
    "billing.ledger.NotReserved": "a defect: it must break loudly",
    "contacts.phone_numbers.UnsupportedCountry": "who reads a country says which field is wrong",
    "messaging.admin.drafts.DraftGone": "the admin leads to a new draft",
    "messaging.admin.drafts.NotChosen": "the admin says it on the list of contacts",
    "messaging.failpoints.Broken": "a test broke this on purpose: it must break loudly",
    "messaging.idempotency.CarriedOutBefore": "the view answers what the first request answered",
    "messaging.providers.credentials.InvalidProviderURL": "the system check says it at the start",
    "messaging.providers.lookups.LookUpFailed": "the look-up of unknown outcomes asks again later",
    "messaging.providers.registry.NoProvider": "broadcasts.send says KindNotCarried",
    "messaging.providers.wire.NeverSent": "the provider's base turns it into a result",
    "messaging.providers.wire.ReplyLost": "the provider's base turns it into a result",
    "messaging.sandbox.server.NotThisMachine": "the sandbox carrier's command prints it",
    "messaging.sandbox.rules.NotARule": "the sandbox carrier answers it to who posted the rule",
    "messaging.resending.NotAcknowledged": "the admin shows the number anew and asks again",
    "messaging.tasks.BrokerAway": "tasks and dispatcher: the dispatcher delivers without a broker",
}


def names() -> list[str]:
    """Every exception class that the domain defines at the top of a module, with its module."""
    return [
        f"{source.module_name(path)}.{node.name}"
        for path in source.program()
        if path.parts[0] in DOMAIN
        for node in source.tree(path).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
        if issubclass(kind(f"{source.module_name(path)}.{node.name}"), Exception)
    ]


def kind(name: str) -> type[Any]:
    module, _dot, class_name = name.rpartition(".")
    found: type[Any] = getattr(importlib.import_module(module), class_name)
    return found


def answered(error: type[Exception]) -> tuple[int, str] | None:
    """The first row that fits, as `api_errors.answer` finds it."""
    return next(
        (row for row_of, row in api_errors.TABLE.items() if issubclass(error, row_of)), None
    )


DOMAIN_ERRORS = names()


@pytest.mark.parametrize("name", [name for name in DOMAIN_ERRORS if name not in NOT_OF_THE_API])
def test_a_domain_error_has_its_row(name: str) -> None:
    error = kind(name)

    assert answered(error), f"{name} would answer 500: give it a row in config/api_errors.TABLE"
    if not issubclass(error, APIException):
        assert error in api_errors.TABLE, f"{name} is answered by a parent's row: give it its own"


@pytest.mark.parametrize("name", NOT_OF_THE_API)
def test_what_needs_no_row_exists_and_has_none(name: str) -> None:
    assert name in DOMAIN_ERRORS
    assert kind(name) not in api_errors.TABLE


def test_no_row_hides_behind_an_earlier_one() -> None:
    kinds = list(api_errors.TABLE)

    hidden = [
        (later, earlier)
        for number, later in enumerate(kinds)
        for earlier in kinds[:number]
        if issubclass(later, earlier) and api_errors.TABLE[later] != api_errors.TABLE[earlier]
    ]

    assert hidden == []


def test_every_domain_error_says_something_by_itself() -> None:
    """Its docstring is what is true when it is caught."""
    assert [name for name in DOMAIN_ERRORS if not (kind(name).__doc__ or "").strip()] == []


def codes_in_docs() -> dict[str, int]:
    return {
        code.strip("`"): int(status)
        for code, status, *_ in source.table("docs/api.md", "## Error codes")
    }


def codes_in_code() -> dict[str, int]:
    """Code and status of each row, and of each answer that api_errors.py writes out beside them.

    Serializers may give a field an own code; it is always a 400.
    """
    found = {code: status for status, code in api_errors.TABLE.values()}
    written = re.findall(r"_json\(\s*(\d{3}), \"(\d{4})\"", source.text("config/api_errors.py"))
    found |= {code: int(status) for status, code in written}
    for path in source.program():
        if path.name == "serializers.py":
            for node in source.tree(path).body:
                if (
                    isinstance(node, ast.AnnAssign)
                    and isinstance(node.value, ast.Constant)
                    and re.fullmatch(r"\d{4}", str(node.value.value))
                ):
                    found[str(node.value.value)] = HTTPStatus.BAD_REQUEST
    return found


def test_the_docs_list_every_code_and_no_other() -> None:
    assert codes_in_docs() == codes_in_code()


def test_one_code_means_one_status() -> None:
    statuses: dict[str, set[int]] = {}
    for status, code in api_errors.TABLE.values():
        statuses.setdefault(code, set()).add(status)

    assert {code: found for code, found in statuses.items() if len(found) > 1} == {}
