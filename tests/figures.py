"""Figures that a test reached, printed at the end of the run, also when all is well."""

from typing import Any, Final

import pytest

_FIGURES: Final[list[tuple[str, str, str]]] = []


def figure(name: str, value: object, reach: str) -> None:
    """Have the run print this figure beside what is to be reached: figure("kills", 40, "40")."""
    _FIGURES.append((name, str(value), reach))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand what one of several processes reached to the one that prints."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["figures"] = _FIGURES


class _Collecting:
    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Take what an ended process hands over; one that crashed hands over nothing."""
        _FIGURES.extend(map(tuple, getattr(node, "workeroutput", {}).get("figures", ())))


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(_Collecting())


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if not _FIGURES:
        return
    terminalreporter.section("figures")
    for name, value, reach in _FIGURES:
        terminalreporter.line(f"{name}: {value}   (to reach: {reach})")
