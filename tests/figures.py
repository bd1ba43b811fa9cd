"""Figures that a test reached, printed at the end of the run, also when all is well."""

from typing import Final

import pytest

_FIGURES: Final[list[tuple[str, str, str]]] = []


def figure(name: str, value: object, reach: str) -> None:
    """Have the run print this figure beside what is to be reached: figure("kills", 40, "40")."""
    _FIGURES.append((name, str(value), reach))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _FIGURES:
        return
    terminalreporter.section("figures")
    for name, value, reach in _FIGURES:
        terminalreporter.line(f"{name}: {value}   (to reach: {reach})")
