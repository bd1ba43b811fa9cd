"""The sandbox carrier itself: its record, its behaviour, its reports, and the doors inside."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from aiohttp import web

from messaging.sandbox.behaviour import Behaviours
from messaging.sandbox.record import Record
from messaging.sandbox.reporting import Reporter, Reports

_PAGE: Final = 1_000  # acceptances written at once


@dataclass(frozen=True, slots=True, eq=False)
class Carrier:
    """What every provider's dialect shares."""

    record: Record
    behaviours: Behaviours
    reporter: Reporter


CARRIER: Final = web.AppKey("carrier", Carrier)


def application(
    *, reports: Reports, delay: float, dialects: list[web.AbstractRouteDef]
) -> web.Application:
    """Return the carrier as a web application that speaks the given dialects.

    `delay` is the time in seconds from an acceptance to its last report.
    """
    record = Record()
    app = web.Application()
    app[CARRIER] = Carrier(record, Behaviours(), Reporter(record, reports=reports, delay=delay))
    app.cleanup_ctx.append(_reporting)
    app.add_routes(
        [
            web.get("/_sandbox/stats", _stats),
            web.get("/_sandbox/accepted", _accepted),
            web.post("/_sandbox/reset", _reset),
            *dialects,
        ]
    )
    return app


async def _reporting(app: web.Application) -> AsyncIterator[None]:
    reporter = app[CARRIER].reporter
    reporter.start()
    yield
    await reporter.stop()


async def _stats(request: web.Request) -> web.Response:
    """Count what was accepted and reported since the start or the last reset."""
    carrier = request.app[CARRIER]
    return web.json_response(
        {
            "accepted": len(carrier.record),
            "doubled": carrier.record.doubled,
            "reports": {
                "sent": carrier.reporter.sent,
                "pending": carrier.reporter.pending,
                "failed": carrier.reporter.failed,
                "lastFailure": carrier.reporter.last_failure,
            },
        }
    )


async def _accepted(request: web.Request) -> web.StreamResponse:
    """Stream every acceptance in order, one JSON object a line; `?after=N` skips the first N."""
    after = request.query.get("after", "0")
    if not (after.isascii() and after.isdigit()):
        return web.json_response({"message": "after must be a whole number"}, status=400)
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    acceptances = request.app[CARRIER].record.acceptances(int(after))
    while page := list(islice(acceptances, _PAGE)):
        lines = (
            json.dumps(
                {
                    "id": acceptance.provider_id,
                    "to": acceptance.recipient,
                    "message": acceptance.message_id,
                    "at": acceptance.at,
                }
            )
            for acceptance in page
        )
        await response.write("".join(f"{line}\n" for line in lines).encode())
    return response


async def _reset(request: web.Request) -> web.Response:
    """Forget what was accepted, what waits to be reported and what was counted."""
    carrier = request.app[CARRIER]
    carrier.reporter.clear()
    carrier.record.clear()
    carrier.behaviours.clear()
    return web.Response(status=204)
