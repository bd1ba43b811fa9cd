"""A transaction pooler before PostgreSQL, as strict as one can be: nothing of a session outlives its
transaction.

It holds few connections to the server and lends one to a client for the length of a transaction. Then it
runs DISCARD ALL, so that whatever a client left in the session (a prepared statement, an advisory lock, a
SET, a cursor) is gone for certain, and not only when somebody else gets that connection.

    python -m tests.faults.harness.pooler /path/of/.s.PGSQL.5432 PORT SIZE
"""

import asyncio
import struct
import sys
from contextlib import suppress

HOST = "127.0.0.1"
SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
DISCARD = b"Q" + struct.pack("!I", 16) + b"DISCARD ALL\0"


async def message(reader: asyncio.StreamReader) -> bytes:
    """Return one whole message: its type, its length, its content."""
    head = await reader.readexactly(5)
    (length,) = struct.unpack("!I", head[1:])
    return head + await reader.readexactly(length - 4)


class Server:
    """One connection to PostgreSQL, begun as the first client asked."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.greeting = b""  # what the server said until it was ready: each client is told the same

    @classmethod
    async def begin(cls, path: str, startup: bytes) -> "Server":
        server = cls(*await asyncio.open_unix_connection(path))
        server.writer.write(startup)
        server.greeting = await server.until_ready()
        return server

    async def until_ready(self) -> bytes:
        """Return everything up to the next ReadyForQuery, with it."""
        said = b""
        while True:
            part = await message(self.reader)
            said += part
            if part[:1] == b"E" and not self.greeting:
                raise ConnectionError(part)
            if part[:1] == b"Z":
                return said

    async def clean(self) -> None:
        self.writer.write(DISCARD)
        await self.until_ready()


class Pooler:
    def __init__(self, path: str, size: int) -> None:
        self.path = path
        self.room = asyncio.Semaphore(size)
        self.idle: list[Server] = []
        self.greeting = b""  # once known, a client is let in without a connection to spare

    async def borrow(self, startup: bytes) -> Server:
        await self.room.acquire()
        try:
            return self.idle.pop() if self.idle else await Server.begin(self.path, startup)
        except BaseException:
            self.room.release()
            raise

    async def give_back(self, server: Server, *, is_whole: bool) -> None:
        try:
            if is_whole:
                await server.clean()
                self.idle.append(server)
            else:
                server.writer.close()
        finally:
            self.room.release()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            startup = await self._startup(reader, writer)
            if startup:
                if not self.greeting:
                    server = await self.borrow(startup)
                    self.greeting = server.greeting
                    await self.give_back(server, is_whole=True)
                writer.write(self.greeting)
                while True:
                    await self._transaction(reader, writer, startup)
        writer.close()

    async def _startup(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        while True:
            head = await reader.readexactly(8)
            length, code = struct.unpack("!II", head)
            if code == CANCEL_REQUEST:
                return b""
            if code not in {SSL_REQUEST, GSS_REQUEST}:
                return head + await reader.readexactly(length - 8)
            writer.write(b"N")

    async def _transaction(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, startup: bytes
    ) -> None:
        """Lend a connection from a client's first message until the server is idle again."""
        asked = await message(reader)
        if asked[:1] == b"X":
            raise ConnectionError
        server = await self.borrow(startup)
        is_whole = False
        try:
            while True:
                while asked[:1] not in b"QS":  # what is answered: a simple query, the end of others
                    server.writer.write(asked)
                    asked = await message(reader)
                server.writer.write(asked)
                ready = await self._answer(server, reader, writer)
                if ready[5:6] == b"I":
                    break
                writer.write(ready)
                asked = await message(reader)
            is_whole = True
        finally:
            await self.give_back(server, is_whole=is_whole)
        writer.write(ready)  # the client hears of its end once nothing of it is left

    async def _answer(
        self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bytes:
        """Pass on what the server says, and return its ReadyForQuery."""
        while True:
            part = await message(server.reader)
            if part[:1] == b"Z":
                return part
            writer.write(part)
            await writer.drain()
            if part[:1] == b"G":  # it waits for the rows of a COPY
                copied = b""
                while copied[:1] not in {b"c", b"f"}:
                    copied = await message(reader)
                    server.writer.write(copied)


async def run(path: str, port: int, size: int) -> None:
    pooler = Pooler(path, size)
    server = await asyncio.start_server(pooler.serve, HOST, port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
