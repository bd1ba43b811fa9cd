"""The repository as text and as syntax trees, for the tests about the house itself."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
ROOMS: Final = ("config", "messaging", "contacts", "billing", "accounts")


@cache
def files() -> tuple[Path, ...]:
    """Every file of the repository, relative to its root: whatever .gitignore does not name."""
    return tuple(sorted(_below(ROOT)))


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name == ".git" or _is_ignored(path):
            continue
        if path.is_dir():
            yield from _below(path)
        else:
            yield path.relative_to(ROOT)


@cache
def _ignored() -> tuple[str, ...]:
    lines = (ROOT / ".gitignore").read_text().splitlines()
    return tuple(line for line in lines if line and not line.startswith("#"))


def _is_ignored(path: Path) -> bool:
    """Return whether .gitignore names the path: by its place where it says one, else by its name."""
    for line in _ignored():
        if line.endswith("/") and not path.is_dir():
            continue
        place = line.rstrip("/")
        if "/" in place:
            if fnmatch(path.relative_to(ROOT).as_posix(), place.lstrip("/")):
                return True
        elif fnmatch(path.name, place):
            return True
    return False


def text(path: Path | str) -> str:
    """Return the file's text; what is no text at all has nothing to read in it."""
    content = (ROOT / path).read_bytes()
    return "" if b"\x00" in content else content.decode()


def program() -> tuple[Path, ...]:
    """Every Python file of the five rooms, without migrations."""
    return tuple(
        path
        for path in files()
        if path.suffix == ".py" and path.parts[0] in ROOMS and "migrations" not in path.parts
    )


@cache
def tree(path: Path) -> ast.Module:
    """Return a Python file as its syntax tree."""
    return ast.parse(text(path), filename=str(path))


def module_name(path: Path) -> str:
    """Return what Python calls the file."""
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def section(document: str, heading: str) -> str:
    """Return what stands under a Markdown heading, up to the next one of any level.

    Raises: ValueError when there is no such heading, so that a renamed one is noticed.
    """
    lines = text(document).splitlines()
    start = lines.index(heading) + 1
    end = next(
        (number for number in range(start, len(lines)) if lines[number].startswith("#")), len(lines)
    )
    return "\n".join(lines[start:end])


def table(document: str, heading: str) -> list[list[str]]:
    """Return the rows of the Markdown table under a heading, without its head."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section(document, heading).splitlines()
        if line.startswith("|")
    ]
    return rows[2:]


def variables() -> dict[str, str | None]:
    """Every variable that config/env.py asks the environment for, with its default where it is a constant."""
    readers = {"_text", "_words", "_number", "_one_of", "_key"}
    found: dict[str, str | None] = {}
    for node in ast.walk(tree(Path("config/env.py"))):
        if not (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in readers
            and isinstance(node.args[0], ast.Constant)
        ):
            continue
        name = str(node.args[0].value)
        default = node.args[1] if len(node.args) > 1 else None
        if isinstance(default, ast.Constant) and default.value != "":
            found[name] = str(default.value)
        else:
            found.setdefault(name, None)
    return found
