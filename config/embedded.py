"""The state folder of the embedded servers: where all of it lies, and the URLs it is met by.

Nothing here starts anything, nor needs Django: `config.env` reads it in every process.
"""

import fcntl
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import quote

DATABASE: Final = "pregon"
OWNER: Final = "pregon_owner"  # owns the schema; migrates
SERVING: Final = "pregon_app"  # reads and writes rows, owns nothing

SYSTEM_STATE: Final = Path("/var/lib/pregon")
# A socket's path ends at 108 characters on Linux, at 104 on macOS.
_LONGEST_SOCKET: Final = 100
_SAFE_IN_URLS: Final = re.compile(r"[A-Za-z0-9/._-]+")


def default_state(root: Path) -> Path:
    """Return the state folder of a checkout when nobody names one.

    As root the servers run as another account, which cannot look into every checkout: then it is
    a folder of this checkout's own under /var/lib.
    """
    if os.geteuid() != 0:
        return root / "var"
    return SYSTEM_STATE / f"{root.resolve().name}-{_digest(root.resolve())}"


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:8]


class EmbeddedError(Exception):
    """The embedded servers cannot be had as things are; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one state folder lies; all of it follows from the folder's path."""

    state: Path
    run: Path

    @classmethod
    def of(cls, state: Path) -> Self:
        """Return the layout of a state folder, which need not exist."""
        state = state.expanduser().resolve()
        run = state / "run"
        longest = run / ".s.PGSQL.5432"
        if len(os.fsencode(longest)) > _LONGEST_SOCKET or not _SAFE_IN_URLS.fullmatch(str(run)):
            run = Path(f"/tmp/pregon-{_digest(state)}")  # noqa: S108 - its owner and mode are checked
        return cls(state, run)

    @property
    def data(self) -> Path:
        """PostgreSQL's data."""
        return self.state / "postgres"

    @property
    def valkey_data(self) -> Path:
        """Valkey's append-only file."""
        return self.state / "valkey"

    @property
    def lock(self) -> Path:
        """Held by the one supervisor of this state."""
        return self.state / "lock"

    @property
    def logs(self) -> Path:
        """What the servers say."""
        return self.state / "logs"

    @property
    def children(self) -> Path:
        """The supervisor's record of its children."""
        return self.state / "children.json"

    @property
    def valkey_socket(self) -> Path:
        """Valkey's only door."""
        return self.run / "valkey.sock"

    @property
    def database_url(self) -> str:
        """The database as the serving role, as libpq writes it."""
        return self._url(SERVING)

    @property
    def owner_database_url(self) -> str:
        """The database as the owner of its tables."""
        return self._url(OWNER)

    def _url(self, role: str) -> str:
        return f"postgresql://{role}@/{DATABASE}?host={quote(str(self.run))}"

    @property
    def redis_url(self) -> str:
        """Valkey as redis-py and Django's cache write it."""
        return f"unix://{self.valkey_socket}?db=1"

    @property
    def broker_url(self) -> str:
        """Valkey as Celery writes it, in a logical database of its own."""
        return f"redis+socket://{self.valkey_socket}?virtual_host=0"

    @property
    def sandbox_port(self) -> int:
        """The sandbox carrier's port: as settled by `up`, else as it follows from the path."""
        try:
            return int((self.state / "sandbox-port").read_text())
        except OSError:  # not settled yet; what is wrong with the folder is told where it is used
            # Below the range from which systems draw ports for outgoing connections.
            return 21_000 + int(_digest(self.state), 16) % 9_000

    def settle_sandbox_port(self, port: int) -> None:
        """Make that port the one which every process of this state takes the carrier to be at."""
        (self.state / "sandbox-port").write_text(str(port))


class AlreadyRunning(EmbeddedError):
    """Another process holds the lock of this state folder."""


class Lock:
    """The one supervisor's claim on a state folder; the kernel drops it with the process."""

    def __init__(self, layout: Layout, *, address: str) -> None:
        """Take the claim.

        Raises: AlreadyRunning, naming the process and the address of the one that has it.
        """
        try:
            layout.state.mkdir(parents=True, exist_ok=True)
            self._file = layout.lock.open("a+")
        except OSError as error:
            raise EmbeddedError(
                f"The state folder {layout.state} cannot be written: {error.strerror}. "
                "Set PREGON_STATE to a folder of your own."
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.seek(0)
            holder = self._file.read().strip()
            self._file.close()
            raise AlreadyRunning(
                f"Pregón is already running from {layout.state}"
                + (f" ({holder})" if holder else "")
                + ". Stop it first, or set PREGON_STATE and PORT to run another one beside it."
            ) from error
        self._file.truncate(0)
        self._file.write(f"process {os.getpid()}, {address}")
        self._file.flush()

    def release(self) -> None:
        """Give the claim back; the file stays, since another process may wait at it."""
        self._file.truncate(0)
        self._file.close()
