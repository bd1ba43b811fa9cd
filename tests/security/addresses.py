"""Every address of the API, with the methods it answers."""

from typing import Final

from accounts.models import Organization

ID: Final = "0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10"

# `{own}` is the caller's organization.
ADDRESSES: Final = {
    "/api/auth/sign-in": {"POST"},
    "/api/auth/refresh": {"POST"},
    "/api/auth/logout": {"POST"},
    "/api/auth/change-password": {"POST"},
    "/api/auth/me": {"GET"},
    "/api/terms/current": {"GET"},
    "/api/terms/accept": {"POST"},
    "/api/organizations/{own}": {"GET"},
    "/api/organizations/{own}/accept-terms": {"POST"},
    "/api/api-keys": {"GET", "POST"},
    f"/api/api-keys/{ID}": {"DELETE"},
    "/api/messages/sms/all": {"POST"},
    f"/api/messages/queues/{ID}": {"GET"},
    "/api/providers/twilio/reports": {"POST"},
    "/api/schema": {"GET"},
    "/api/docs": {"GET"},
}
PUBLIC: Final = {
    "/api/auth/sign-in",
    "/api/auth/refresh",
    "/api/providers/twilio/reports",
    "/api/schema",
    "/api/docs",
}
READS_JSON: Final = [
    address
    for address, methods in ADDRESSES.items()
    if "POST" in methods and "providers" not in address
]


def of_acme(address: str, acme: Organization) -> str:
    """Return the address as somebody of Acme asks it."""
    return address.format(own=acme.pk)
