"""What a client's start page shows: an organization's last 30 days and its last messages."""

from datetime import timedelta
from typing import Any, Final

from django.db.models import Sum
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors.organization import for_org, organization_of
from accounts.doors.pagination import total
from accounts.doors.schema import refusals
from accounts.doors.views import OrganizationView
from accounts.roles import Right
from billing import ledger
from contacts.models import Contact
from messaging import searching
from messaging.models import Broadcast, Message
from messaging.serializers.dashboard import DashboardSerializer

LAST: Final = 10
"""Messages that it shows."""

DAYS: Final = 30
"""Days whose broadcasts are counted."""

MOST: Final = 20_000
"""Broadcasts that are counted; of more, the latest."""

_SENT: Final = ("sent", "delivered")
_FAILED: Final = ("undelivered", "failed")
_PENDING: Final = ("queued", "sending", "unknown")


class DashboardView(OrganizationView):
    right = Right.READ

    @extend_schema(
        operation_id="getDashboard",
        summary="Show totals and the last messages",
        description=(
            f"Messages are counted by the broadcasts of the last {DAYS} days; of more than {MOST:,} "
            "broadcasts, by the latest. Credits are as they stand now."
        ),
        responses={200: DashboardSerializer, **refusals(401, 403, 429)},
        examples=[
            OpenApiExample(
                "A quiet day",
                {
                    "stats": {
                        "totalContacts": 209,
                        "messages": {
                            "sent": 204,
                            "failed": 3,
                            "pending": 0,
                            "available": 9796,
                            "used": 204,
                        },
                    },
                    "recentMessages": [
                        {
                            "id": "019a3c5e-1f6b-7c60-8f3a-6f0f4f0c1a01",
                            "status": "DELIVERED",
                            "createdAt": "2026-01-31T12:00:00.000Z",
                            "phone": "+573001234567",
                            "content": "Hola",
                        }
                    ],
                },
                response_only=True,
                status_codes=["200"],
            )
        ],
        tags=["reports"],
    )
    def get(self, request: Request) -> Response:
        organization = organization_of(request)
        balance = ledger.balance(organization.pk)
        contacts, _estimated = total(for_org(request, Contact).filter(deleted_at=None))
        last = searching.newest_first(for_org(request, Message)).select_related("broadcast")
        shown: dict[str, Any] = {
            "stats": {
                "totalContacts": contacts,
                "messages": {
                    **self._counts(request),
                    "available": balance.available,
                    "used": balance.spent,
                },
            },
            "recentMessages": last[:LAST],
        }
        return Response(DashboardSerializer(shown).data)

    def _counts(self, request: Request) -> dict[str, int]:
        """Return how many messages of the last days stand where, from the counters that broadcasts keep.

        By messaging_broadcast_newest, and never from more rows than `MOST`: one call of a program that
        sends codes is one broadcast.
        """
        groups = {"sent": _SENT, "failed": _FAILED, "pending": _PENDING}
        names = [name for group in groups.values() for name in group]
        since = timezone.now() - timedelta(days=DAYS)
        latest = for_org(request, Broadcast).filter(created_at__gte=since)
        sums = latest.order_by("-created_at", "-id")[:MOST].aggregate(
            **{f"all_{name}": Sum(name, default=0) for name in names}
        )
        return {
            group: sum(sums[f"all_{name}"] for name in members) for group, members in groups.items()
        }
