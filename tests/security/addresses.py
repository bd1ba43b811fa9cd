"""Every address of the API, with the methods it answers."""

from typing import Final

from accounts.models import Organization

ID: Final = "0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10"

# `{own}` is the caller's organization.
ADDRESSES: Final = {
    "/api/api-keys": {"GET", "POST"},
    f"/api/api-keys/{ID}": {"DELETE"},
    "/api/auth/change-password": {"POST"},
    "/api/auth/logout": {"POST"},
    "/api/auth/me": {"GET"},
    "/api/auth/refresh": {"POST"},
    "/api/auth/sign-in": {"POST"},
    "/api/contacts": {"GET", "POST"},
    "/api/contacts/count": {"GET"},
    "/api/contacts/export": {"GET"},
    "/api/contacts/import": {"POST"},
    "/api/contacts/import/preview": {"POST"},
    f"/api/contacts/import/{ID}/errors": {"GET"},
    f"/api/contacts/import/{ID}/status": {"GET"},
    f"/api/contacts/{ID}": {"DELETE", "GET", "PATCH"},
    "/api/credits": {"GET"},
    "/api/credits/ledger": {"GET"},
    "/api/messages": {"GET"},
    "/api/messages/export": {"GET"},
    "/api/messages/queues": {"GET"},
    f"/api/messages/queues/{ID}": {"GET", "PATCH"},
    f"/api/messages/queues/{ID}/approve": {"POST"},
    f"/api/messages/queues/{ID}/cancel": {"POST"},
    f"/api/messages/queues/{ID}/messages": {"GET"},
    f"/api/messages/queues/{ID}/pause": {"POST"},
    f"/api/messages/queues/{ID}/reject": {"POST"},
    f"/api/messages/queues/{ID}/resend-failed": {"POST"},
    f"/api/messages/queues/{ID}/resume": {"POST"},
    f"/api/messages/queues/{ID}/skipped": {"GET"},
    "/api/messages/sms/all": {"POST"},
    "/api/messages/sms/contacts": {"POST"},
    "/api/messages/sms/tags": {"POST"},
    f"/api/messages/{ID}": {"GET"},
    "/api/organizations/{own}": {"GET"},
    "/api/organizations/{own}/accept-terms": {"POST"},
    "/api/providers/twilio/inbound": {"POST"},
    "/api/providers/twilio/reports": {"POST"},
    "/api/reports/dashboard": {"GET"},
    "/api/suppressions": {"DELETE", "GET", "POST"},
    f"/api/suppressions/{ID}": {"DELETE"},
    "/api/tags": {"GET", "POST"},
    "/api/tags/with-counts": {"GET"},
    f"/api/tags/{ID}": {"DELETE", "GET", "PATCH"},
    "/api/terms/accept": {"POST"},
    "/api/terms/current": {"GET"},
    "/api/schema": {"GET"},
    "/api/docs": {"GET"},
}
PUBLIC: Final = {
    "/api/auth/sign-in",
    "/api/auth/refresh",
    "/api/providers/twilio/inbound",
    "/api/providers/twilio/reports",
    "/api/schema",
    "/api/docs",
}
# Doors of one body each; those of contacts, tags and sends have their rows in test_hostile_table.py.
READS_JSON: Final = [
    "/api/auth/sign-in",
    "/api/auth/refresh",
    "/api/auth/logout",
    "/api/auth/change-password",
    "/api/terms/accept",
    "/api/organizations/{own}/accept-terms",
    "/api/api-keys",
    "/api/messages/sms/all",
]


def of_acme(address: str, acme: Organization) -> str:
    """Return the address as somebody of Acme asks it."""
    return address.format(own=acme.pk)
