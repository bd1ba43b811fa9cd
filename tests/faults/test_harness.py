"""The harness itself: a broadcast passes through all proxies, and each fault does what it says."""

import contextlib
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.harness.proxies import Proxies, Proxy


class Echo(socketserver.BaseRequestHandler):
    """Answers every request with "got " and the request, and remembers it."""

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := self.request.recv(65_536):
                self.server.seen.append(data)  # type: ignore[attr-defined] # of ours
                self.request.sendall(b"got " + data)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.seen: list[bytes] = []


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as echo:
        thread = threading.Thread(target=echo.serve_forever, args=(0.01,))
        thread.start()
        yield echo
        echo.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxies]:
    running = Proxies(tmp_path_factory.mktemp("proxies") / "log")
    yield running
    running.stop()


@pytest.fixture
def proxy(proxies: Proxies, server: Server) -> Proxy:
    port = str(server.server_address[1])
    return proxies.open(f"to {port}", port)


class Caller:
    """One connection through the proxy."""

    def __init__(self, proxy: Proxy, *, timeout: float = 20) -> None:
        self.socket = socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, words: bytes, *, timeout: float = 20) -> bytes:
        """Return the answer, or as much of it as came before the connection ended."""
        self.socket.settimeout(timeout)
        self.socket.sendall(words)
        answer = b""
        while len(answer) < len(words) + 4 and (data := self.socket.recv(65_536)):
            answer += data
        return answer


@pytest.fixture
def call(proxy: Proxy) -> Iterator[Caller]:
    caller = Caller(proxy)
    with contextlib.closing(caller.socket):
        yield caller


SILENT = 0.5  # seconds without an answer that count as none


def test_it_passes_on(call, proxy):
    assert call.ask(b"one") == b"got one"
    assert call.ask(b"two" * 1_000) == b"got " + b"two" * 1_000
    assert proxy.counts()["open"] == 1


def test_refuse_resets_what_is_there_and_lets_nobody_in(call, proxy):
    call.ask(b"one")

    with proxy.refuse():
        with pytest.raises(ConnectionResetError):
            call.ask(b"two")
        with pytest.raises(ConnectionRefusedError):
            Caller(proxy)

    with contextlib.closing(Caller(proxy).socket):
        pass


def test_a_blackhole_holds_everything_until_it_is_healed(call, proxy, server):
    call.ask(b"one")

    with proxy.blackhole():
        with pytest.raises(TimeoutError):
            call.ask(b"two", timeout=SILENT)
        with contextlib.closing(Caller(proxy).socket) as fresh:
            fresh.sendall(b"three")
            fresh.settimeout(SILENT)
            with pytest.raises(TimeoutError):
                fresh.recv(1)
            proxy.heal()
            fresh.settimeout(20)
            assert fresh.recv(100) == b"got three"
    assert call.socket.recv(100) == b"got two"


def test_unanswered_lets_a_connect_time_out(proxy):
    with proxy.unanswered(), pytest.raises(TimeoutError):
        Caller(proxy, timeout=SILENT)

    with contextlib.closing(Caller(proxy).socket):
        pass


def test_freeze_leaves_old_connections_half_open_and_takes_new_ones(call, proxy, server):
    call.ask(b"one")

    with proxy.freeze():
        with pytest.raises(TimeoutError):
            call.ask(b"two", timeout=SILENT)
        new = Caller(proxy)
        with contextlib.closing(new.socket):
            assert new.ask(b"three") == b"got three"
    with pytest.raises(ConnectionResetError):
        call.socket.recv(1)
    assert server.seen == [b"one", b"three"]


def test_latency_delays_both_ways_and_slices(call, proxy):
    with proxy.latency(0.2, slices=1):
        began = time.monotonic()

        # One byte: the server answers each piece that it reads, and slices may come one by one.
        assert call.ask(b"1") == b"got 1"

        assert time.monotonic() - began >= 0.4


def test_reset_all_breaks_once(call, proxy):
    call.ask(b"one")

    proxy.reset_all()

    with pytest.raises(ConnectionResetError):
        call.ask(b"two")
    new = Caller(proxy)
    with contextlib.closing(new.socket):
        assert new.ask(b"three") == b"got three"


def test_a_cut_request_arrives_by_half(call, proxy, server):
    with proxy.cut_request(times=1, containing=b"cut"):
        assert call.ask(b"keep") == b"got keep"
        with pytest.raises(ConnectionResetError):
            call.ask(b"cut me!!")
        new = Caller(proxy)
        with contextlib.closing(new.socket):
            assert new.ask(b"cut no more") == b"got cut no more"

    assert proxy.taken == 1
    assert server.seen == [b"keep", b"cut ", b"cut no more"]


def test_a_dropped_reply_was_done(call, proxy, server):
    with proxy.drop_reply(times=1), pytest.raises(ConnectionResetError):
        call.ask(b"one")

    assert server.seen == [b"one"]


def test_a_reply_dropped_silently_leaves_the_caller_waiting(call, proxy, server):
    with proxy.drop_reply(times=1, silently=True), pytest.raises(TimeoutError):
        call.ask(b"one", timeout=SILENT)

    assert server.seen == [b"one"]


def test_a_truncated_reply_ends_early(call, proxy):
    with proxy.truncate_reply(at=5):
        assert call.ask(b"one") == b"got o"


def test_a_broadcast_is_delivered(stack):
    house = stack.house(contacts=200)

    queue_id = house.send("Hola")

    house.wait_until_delivered(queue_id)
    assert house.balance()[1:] == (0, 200)


def test_a_failpoint_is_taken_once_by_one_process_and_e0_holds(stack):
    house = stack.house(contacts=200)
    stack.worker.arm("worker.after_claim", "kill?Hola")

    queue_id = house.send("Hola")

    house.wait_until_delivered(queue_id)
    assert stack.worker.has_hit("worker.after_claim")


def test_a_part_that_was_changed_is_as_usual_in_the_next_test(stack):
    stack.worker.restart(LOG_LEVEL="DEBUG")
    stack.dispatcher.kill()
    stack.web.pause()


def test_everything_runs_again(stack):
    assert stack.worker.environment["LOG_LEVEL"] == "INFO"
    assert stack.dispatcher.is_running
    assert stack.web.is_running


def test_the_log_of_a_part_begins_with_the_test(stack, tmp_path: Path):
    before = stack.worker.log()
    first_line = stack.worker.log_file.read_text().partition("\n")[0]

    house = stack.house(contacts=1)
    house.wait_until_delivered(house.send("Hola"))

    assert first_line
    assert (
        first_line not in before
    )  # of earlier tests; what it says by itself may come at any moment
