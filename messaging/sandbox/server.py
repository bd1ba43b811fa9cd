"""Running the sandbox carrier until it is told to stop."""

import asyncio
import ipaddress
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from aiohttp import web

from messaging.sandbox import doors, infobip, twilio, vonage
from messaging.sandbox.carrier import application
from messaging.sandbox.reporting import Reports

DIALECTS: Final = (twilio.DIALECT, infobip.DIALECT, vonage.DIALECT)


class NotThisMachine(ValueError):
    """The host is no loopback address; nothing listens. The carrier believes whoever reaches it."""


def run(
    *,
    host: str,
    port: int,
    reports: Reports,
    delay: float,
    ready: Callable[[str], None],
    state: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; call `ready` with the address as soon as it listens.

    Port 0 takes a free one. Requests under way are answered; reports not sent yet are kept in
    the file `state` and sent after the next start, or lost where there is none.

    Raises: NotThisMachine; OSError when the port is taken.
    """
    if not _is_loopback(host):
        raise NotThisMachine(f"{host} is not a loopback address; use 127.0.0.1 or ::1.")
    app = application(
        reports=reports, delay=delay, dialects=DIALECTS, doors=doors.routes(), state=state
    )
    asyncio.run(_serve(app, host=host, port=port, ready=ready))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _serve(
    app: web.Application, *, host: str, port: int, ready: Callable[[str], None]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    # Writing a log line costs more than taking a message.
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port, backlog=1024).start()
        bound = runner.addresses[0]
        ready(f"http://{f'[{bound[0]}]' if ':' in bound[0] else bound[0]}:{bound[1]}")
        await stop.wait()
    finally:
        await runner.cleanup()
