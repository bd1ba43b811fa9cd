"""A process of proxies that break connections on demand, and the handle by which a test drives them.

Each proxy listens on a port of loopback and passes everything on to one server (a unix socket or
another port) until it is told to misbehave. One process holds all of them, so that a busy test does not
slow them, and a slow one does not stop a test:

    with stack.worker.carrier.drop_reply(times=1):
        house.send("Hola")

The fault is there when the method returns, and gone after the block (or after `heal()`).
"""

import json
import subprocess
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[3]


class Proxies:
    """The process that holds all proxies of one stack."""

    def __init__(self, log: Path) -> None:
        self._lock = threading.Lock()
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.harness.wire"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                process_group=0,  # Ctrl-C reaches the tests alone: they stop it
                text=True,
            )

    def open(self, name: str, to: str) -> "Proxy":
        """Return a proxy in front of `to`: the path of a unix socket, or a port of loopback."""
        port: int = self.ask(do="open", name=name, to=to)["port"]
        return Proxy(self, name, port)

    def ask(self, **words: Any) -> dict[str, Any]:
        """Have something done; return once it is."""
        with self._lock:
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps(words) + "\n")
            self._process.stdin.flush()
            answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        assert "error" not in answer, answer
        return answer

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()  # its end of input is its end
        self._process.wait(timeout=30)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Faults:
    """What may be done to connections. One fault at a time: a second one replaces the first.

    Where a fault takes requests, `times` is how many (None: all until it is healed) and `containing`
    tells which: only those with these bytes in them, as b"COMMIT" or part of a recipient.
    """

    def break_(self, mode: str, **how: Any) -> None:
        raise NotImplementedError

    def heal(self) -> None:
        """Pass everything on again. What was held back by `blackhole` goes on its way; connections that
        were frozen are reset."""
        self.break_("pass")

    def reset_all(self) -> None:
        """Reset every connection once (RST). New ones pass."""
        self.break_("reset_all")

    def refuse(self) -> "_Block":
        """Reset all connections and refuse new ones: the server is not there."""
        return self._block("refuse")

    def blackhole(self) -> "_Block":
        """Accept connections and pass nothing on, on old and new ones: the server never answers."""
        return self._block("blackhole")

    def unanswered(self) -> "_Block":
        """Let new connections wait for ever before they are accepted: a connect timeout."""
        return self._block("unanswered")

    def freeze(self) -> "_Block":
        """Let the present connections go dead without a word (half-open); new ones pass."""
        return self._block("freeze")

    def latency(self, seconds: float, *, slices: int = 0) -> "_Block":
        """Delay every chunk in both directions; with `slices` pass it on in pieces of so many bytes."""
        return self._block("latency", seconds=seconds, slices=slices)

    def cut_request(self, *, times: int | None = None, containing: bytes = b"") -> "_Block":
        """Pass half of a request on, then reset both sides."""
        return self._taking("cut_request", times, containing)

    def drop_reply(
        self, *, times: int | None = None, containing: bytes = b"", silently: bool = False
    ) -> "_Block":
        """Let the server do what it is asked and lose its reply: a reset, or silence."""
        return self._taking("drop_reply", times, containing, silently=silently)

    def truncate_reply(
        self, *, at: int, times: int | None = None, containing: bytes = b""
    ) -> "_Block":
        """Pass the first `at` bytes of a reply on, then close the connection."""
        return self._taking("truncate_reply", times, containing, at=at)

    def _taking(self, mode: str, times: int | None, containing: bytes, **how: Any) -> "_Block":
        return self._block(mode, times=times, containing=containing.decode("latin-1"), **how)

    def _block(self, mode: str, **how: Any) -> "_Block":
        self.break_(mode, **how)
        return _Block(self)


class _Block:
    """A fault that is there already; as a context manager it is healed at the end of the block."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def __enter__(self) -> Faults:
        return self._faults

    def __exit__(self, *_: object) -> None:
        self._faults.heal()


class Proxy(Faults):
    """One proxy: between one process group of the stack and one server."""

    def __init__(self, proxies: Proxies, name: str, port: int) -> None:
        self._proxies, self.name, self.port = proxies, name, port

    def break_(self, mode: str, **how: Any) -> None:
        self._proxies.ask(do="fault", name=self.name, mode=mode, **how)

    def counts(self) -> dict[str, int]:
        """Return `open` connections, `connections` ever, `requests`, and `taken`: how often the present
        or last fault took one."""
        found: dict[str, int] = self._proxies.ask(do="counts", name=self.name)
        return found

    @property
    def taken(self) -> int:
        return self.counts()["taken"]


class Several(Faults):
    """The same fault on several proxies, as on every way to the broker."""

    def __init__(self, proxies: Iterable[Proxy]) -> None:
        self.proxies = list(proxies)

    def break_(self, mode: str, **how: Any) -> None:
        for proxy in self.proxies:
            proxy.break_(mode, **how)

    @property
    def taken(self) -> int:
        return sum(proxy.taken for proxy in self.proxies)
