"""Imports go down only; import-linter knows how (pyproject.toml)."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house import source

CONTRACTS = tomllib.loads(source.text("pyproject.toml"))["tool"]["importlinter"]["contracts"]

LINT = (
    "import sys; from importlinter.cli import lint_imports_command;"
    " sys.argv = ['lint-imports', '--no-logo', *sys.argv[1:]]; lint_imports_command()"
)


def lint(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", LINT, *options],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def report() -> str:
    """What import-linter says of every contract."""
    return lint(source.ROOT, "--no-cache").stdout


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: str(contract["id"]))
def test_the_contract_holds(report: str, contract: dict[str, str]) -> None:
    assert f"{contract['name']} KEPT" in report, report


@pytest.mark.parametrize(
    ("importer", "imported", "broken"),
    [
        ("accounts/upwards.py", "billing.models", "rooms"),
        ("billing/sideways.py", "contacts.models", "rooms"),
        ("messaging/models/messages.py", "messaging.broadcasts", "messaging"),
        ("messaging/nowhere.py", "messaging.models", "messaging"),
        ("messaging/sandbox/server.py", "accounts.models", "sandbox"),
        ("messaging/views/sending.py", "messaging.sandbox", "sandbox-command"),
        ("messaging/views/sending.py", "config.api_errors", "api-errors"),
        ("messaging/timings.py", "accounts.models", "leaves"),
        ("messaging/sms_text.py", "django.utils.timezone", "arithmetic"),
        ("contacts/models.py", "contacts.admin", "cycles"),
    ],
)
def test_an_import_the_wrong_way_is_found(
    tmp_path: Path, importer: str, imported: str, broken: str
) -> None:
    for path in (*source.program(), Path("pyproject.toml")):
        copy = tmp_path / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(source.text(path))
    assert lint(tmp_path, "--contract", broken, "--no-cache").returncode == 0
    guilty = tmp_path / importer
    before = guilty.read_text() if guilty.exists() else ""
    guilty.write_text(f"{before}\nimport {imported}\n")

    found = lint(tmp_path, "--contract", broken, "--no-cache")

    assert found.returncode == 1
    assert guilty.stem in found.stdout, found.stdout + found.stderr
