"""The list of faults against the tests: each of B01 to B96 has its own, or stands here with the reason."""

import ast
import re
from typing import Final

import pytest

from tests.house import source

ROWS: Final = [f"B{number:02}" for number in range(1, 97)]

# Nobody asked for these yet.
LATER: Final = {
    "B84": "we call no address of a customer's: there are no outgoing callbacks",
    "B95": "there are no quiet hours and no limits by local day",
}

# What cannot be shown here, with the reason. At most six.
EXCEPTIONS: Final[dict[str, str]] = {
    "B19": "there is no broadcast action in the admin yet: its confirmation page comes with it",
}


def _is_soak(function: ast.FunctionDef) -> bool:
    return any("soak" in ast.unparse(decorator) for decorator in function.decorator_list)


def _tests() -> dict[str, list[str]]:
    """Return the tests of the ordinary run that are named for a row, by row."""
    found: dict[str, list[str]] = {}
    for path in source.files():
        if path.parts[0] != "tests" or not path.name.startswith("test_"):
            continue
        for node in ast.walk(source.tree(path)):
            if isinstance(node, ast.FunctionDef) and not _is_soak(node):
                for row in re.findall(r"(?:^test_|_)(B[0-9]{2})(?=_)", node.name):
                    found.setdefault(row, []).append(f"{path}::{node.name}")
    return found


TESTS: Final = _tests()


@pytest.mark.parametrize("row", ROWS)
def test_the_row_has_a_test_or_a_reason(row: str) -> None:
    reason = {**LATER, **EXCEPTIONS}.get(row, "")

    assert bool(TESTS.get(row)) != bool(reason), (
        f"{row} has {len(TESTS.get(row, []))} tests and the reason {reason!r}"
    )


def test_no_test_is_named_for_a_row_that_does_not_exist() -> None:
    assert TESTS.keys() <= set(ROWS)


def test_at_most_six_are_missing_beside_later_work() -> None:
    assert LATER.keys() == {"B84", "B95"}
    assert len(EXCEPTIONS) <= 6
