"""B93's sink: a log that nobody reads costs lines, and holds nobody up."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from config import log_sink

ROOT: Final = Path(__file__).resolve().parents[2]

# A process that logs 5,000 lines of 200 characters, twenty times what a pipe holds, and one more
# after it was told that there is room again.
LOGS: Final = """
import logging, sys
from config import logging as house
house.configure(production=True, level="INFO")
log = logging.getLogger("config.test")
for number in range(5_000):
    log.info("something_happened", extra={"number": number, "filler": "x" * 100})
print("all said", flush=True)
sys.stdin.readline()
log.info("last_words")
print("done", flush=True)
"""


def started(stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", LOGS],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
    )


def pipe() -> tuple[int, int, Callable[[], bytes]]:
    there, here = os.pipe()
    return here, there, lambda: os.read(there, 1 << 20)


def sockets() -> tuple[int, int, Callable[[], bytes]]:
    here, there = socket.socketpair()
    return here.detach(), (number := there.detach()), lambda: os.read(number, 1 << 20)


@pytest.mark.parametrize("kind", [pipe, sockets])
def test_B93_a_log_that_nobody_reads_holds_nobody_up(
    kind: Callable[[], tuple[int, int, Callable[[], bytes]]],
) -> None:
    here, there, read = kind()
    with started(here) as process:
        os.close(here)
        assert process.stdin
        assert process.stdout

        assert process.stdout.readline() == b"all said\n"  # it would wait here for ever
        kept = read()
        while not kept.endswith(b"\n"):
            kept += read()
        process.stdin.write(b"\n")
        process.stdin.close()
        assert process.stdout.readline() == b"done\n"
    while more := read():
        kept += more
    os.close(there)

    assert process.returncode == 0
    lines = [json.loads(line) for line in kept.splitlines()]
    numbers = [line["number"] for line in lines if line["event"] == "something_happened"]
    assert numbers == list(range(len(numbers)))  # whole lines, in order, none doubled
    *_, lost, last = lines
    assert (lost["event"], lost["count"]) == (log_sink.LOST, 5_000 - len(numbers))
    assert last["event"] == "last_words"


def test_B93_a_reader_that_went_away_holds_nobody_up() -> None:
    here, there, _read = pipe()
    process = started(here)
    os.close(here)
    os.close(there)

    output, _ = process.communicate(b"\n", timeout=240)

    assert (output, process.returncode) == (b"all said\ndone\n", 0)


def test_B93_a_full_disk_holds_nobody_up() -> None:
    full = Path("/dev/full")
    if not full.exists():  # Linux has it
        return
    with full.open("wb") as output:
        process = started(output.fileno())

        told, _ = process.communicate(b"\n", timeout=240)

    assert (told, process.returncode) == (b"all said\ndone\n", 0)


def test_a_file_gets_every_line(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as output:
        process = started(output.fileno())
        process.communicate(b"\n", timeout=240)

    lines = (tmp_path / "log").read_text().splitlines()
    assert len(lines) == 5_001


def test_a_pipe_that_is_read_gets_every_line() -> None:
    here, there, read = pipe()
    with started(here) as process:
        os.close(here)
        assert process.stdin
        process.stdin.write(b"\n")
        process.stdin.close()
        kept = b""
        while more := read():
            kept += more
    os.close(there)

    assert kept.count(b"\n") == 5_001
