"""Every machine gets the same packages: what ours bring along is pinned as well."""

import importlib.metadata
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house import source

FILES = [Path("requirements.txt"), Path("requirements-dev.txt")]


def lines(path: Path) -> list[str]:
    """The requirements of a file, comments gone."""
    stripped = [line.partition("  #")[0].strip() for line in source.text(path).splitlines()]
    return [line for line in stripped if line and not line.startswith(("#", "-r "))]


def pinned(*paths: Path) -> dict[str, Requirement]:
    found = [Requirement(line) for path in paths for line in lines(path)]
    return {canonicalize_name(requirement.name): requirement for requirement in found}


def needs(name: str, extras: set[str]) -> Iterator[Requirement]:
    """What an installed package needs on this machine, with these extras."""
    for text in importlib.metadata.requires(name) or []:
        requirement = Requirement(text)
        if requirement.marker is None or any(
            requirement.marker.evaluate({"extra": extra}) for extra in {"", *extras}
        ):
            yield requirement


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_line_names_one_version(path: Path) -> None:
    loose = [
        line for line in lines(path) if not re.fullmatch(r"[\w.-]+(\[\w+\])?==[\w.]+(; .+)?", line)
    ]

    assert loose == []


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_package_is_named_twice(path: Path) -> None:
    names = [canonicalize_name(Requirement(line).name) for line in lines(path)]

    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("paths", [FILES[:1], FILES], ids=["run", "develop"])
def test_whatever_a_package_brings_along_is_pinned_and_fits(paths: list[Path]) -> None:
    ours = pinned(*paths)
    loose = []
    for name, requirement in ours.items():
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        for needed in needs(name, requirement.extras):
            pin = ours.get(canonicalize_name(needed.name))
            version = next(iter(pin.specifier)).version if pin else None
            if version is None or not needed.specifier.contains(version, prereleases=True):
                loose.append(f"{name} needs {needed}")

    assert loose == []


def test_what_is_tested_is_what_is_pinned() -> None:
    installed = {
        name: importlib.metadata.version(name)
        for name, requirement in pinned(*FILES).items()
        if requirement.marker is None or requirement.marker.evaluate()
    }

    assert [
        f"{name} is {version}, pinned {requirement.specifier}"
        for name, version in installed.items()
        if not (requirement := pinned(*FILES)[name]).specifier.contains(version)
    ] == []
