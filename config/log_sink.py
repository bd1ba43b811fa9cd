"""Where log lines go: standard error, which never holds anybody up."""

import logging
import os
import select
import socket
import stat
import sys
from collections.abc import Callable
from typing import Final

Write = Callable[[bytes], int]

LOST: Final = "log_lines_lost"
PATIENCE: Final = 200  # milliseconds that a reader may be behind before lines are lost


class StandardError(logging.StreamHandler):  # type: ignore[type-arg] # the stream is given at run time
    """Writes lines to standard error without waiting for whoever reads it.

    A pipe or a socket that nobody empties is full after some hundred lines, and an ordinary write would
    then wait for ever, with every thread that logs behind it. Here such lines are lost, and as soon as
    there is room again one line tells how many. A reader that is gone costs lines too, and nothing else.
    """

    def __init__(self) -> None:
        super().__init__()
        self._guarded = _without_waiting()
        self._rest = b""  # of a line that went half
        self._lost = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or lose it. Never waits longer than a fifth of a second, and that once."""
        if self._guarded is None or self.stream is not sys.__stderr__:
            super().emit(record)
            return
        try:
            line = self._line_of(record)
        except Exception:  # noqa: BLE001 - a line that cannot be written is told as logging itself does
            self.handleError(record)
            return
        if self._lost and self._sent(self._line_of(_told(self._lost)), self._guarded):
            self._lost = 0
        if self._lost or not self._sent(line, self._guarded):
            self._lost += 1

    def _line_of(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}{self.terminator}".encode(errors="backslashreplace")

    def _sent(self, line: bytes, write: Write) -> bool:
        """Return whether the line went, or its beginning: the rest goes before the next line."""
        self._rest = self._pushed(self._rest, write)
        if self._rest:
            return False
        left = self._pushed(line, write)
        if left == line:
            return False
        self._rest = left
        return True

    def _pushed(self, data: bytes, write: Write) -> bytes:
        """Return what of it did not go."""
        may_wait = not self._lost
        while data:
            try:
                data = data[write(data) :]
            except BlockingIOError:
                if not may_wait:
                    break
                may_wait = False
                room = select.poll()
                room.register(sys.__stderr__, select.POLLOUT)  # type: ignore[arg-type] # it is there
                room.poll(PATIENCE)
            except OSError:  # nobody is there
                break
        return data


def _told(lost: int) -> logging.LogRecord:
    given = {"name": __name__, "msg": LOST, "levelno": logging.WARNING, "levelname": "WARNING"}
    return logging.makeLogRecord({**given, "count": lost})


def _without_waiting() -> Write | None:
    """Return how to write to standard error without ever waiting; None where a write never waits.

    A pipe is opened anew: without that the flag would be everybody's who shares it, and other programs
    would find that they may not write.
    """
    try:
        number = sys.__stderr__.fileno()  # type: ignore[union-attr] # without one there is nothing to guard
        kind = os.fstat(number).st_mode
    except (AttributeError, OSError, ValueError):
        return None
    if stat.S_ISSOCK(kind):
        link = socket.socket(fileno=os.dup(number))
        return lambda line: link.send(line, socket.MSG_DONTWAIT)
    if not stat.S_ISFIFO(kind):
        return None
    try:
        own = os.open(f"/proc/self/fd/{number}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no such folder on this system, or the pipe is another account's
        return None
    return lambda line: os.write(own, line)
