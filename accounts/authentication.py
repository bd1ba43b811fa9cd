"""Who is asking: bearer tokens and keys at the API, e-mail and password at the admin."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.backends import BaseBackend
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.request import Request

from accounts import api_keys, sessions
from accounts.doors import throttles
from accounts.doors.addresses import address_of
from accounts.models import ApiKey, Member

_WAIT: Final = "sign_in_wait"
KEY_HEADER: Final = "api-key"


class TwoCredentials(Exception):
    """The request shows a token and a key: whose it is, is not guessed."""


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer <access token>`. Any other scheme is no credentials at all.

    The answers to a token that is wrong (1008) or expired (1009) are `sessions.InvalidToken` and
    `sessions.TokenExpired`, raised from here as they are; with a key beside it, `TwoCredentials` (1008).
    """

    def authenticate(self, request: Request) -> tuple[Member, dict[str, Any]] | None:
        scheme, _blank, token = get_authorization_header(request).strip().partition(b" ")
        if scheme.lower() != b"bearer" or not token.strip():
            return None
        if _key_of(request):
            raise TwoCredentials(_("Send the access token or the API key, not both."))
        # Latin-1 reads any byte; what is no token then fails as one.
        member, claims = sessions.member_with(access_token=token.strip().decode("latin-1"))
        throttles.count(request, member)
        return member, claims

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 - DRF's signature
        return 'Bearer realm="pregon"'


class KeyHeader(BaseAuthentication):
    """`api-key: <key>`. One that is wrong or ended is `api_keys.InvalidKey` (1008), raised as it is."""

    def authenticate(self, request: Request) -> tuple[Member, ApiKey] | None:
        written = _key_of(request)
        if not written:
            return None
        member, key = api_keys.member_with(written=written)
        throttles.count(request, member)
        return member, key


def _key_of(request: Request) -> str:
    return str(request.headers.get(KEY_HEADER, "")).strip()


class ThrottledModelBackend(BaseBackend):
    """Signs members in at the admin, under the same count of attempts as the API."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **_options: Any,
    ) -> Member | None:
        """Return the member, None for wrong credentials.

        Raises: PermissionDenied after too many attempts, with the seconds to wait on the request.
        """
        if username is None or password is None:
            return None
        try:
            return sessions.identify(
                email=username,
                password=password,
                address=address_of(request) if request is not None else None,
            )
        except sessions.WrongCredentials:
            return None
        except sessions.TooManyAttempts as error:
            if request is not None:
                setattr(request, _WAIT, error)
            raise PermissionDenied(str(error)) from error

    def get_user(self, user_id: Any) -> Member | None:
        """Return the member of an admin session, None as soon as he may not be signed in any more."""
        member = Member.objects.select_related("organization").filter(pk=user_id).first()
        return member if member is not None and member.is_admitted else None


def refusal_of(request: HttpRequest) -> sessions.TooManyAttempts | None:
    """Return why this request's sign-in was not even tried, for the page that tells it."""
    refusal = getattr(request, _WAIT, None)
    return refusal if isinstance(refusal, sessions.TooManyAttempts) else None
