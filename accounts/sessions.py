"""Being signed in: sign-in, refresh, logout, change of password, and who a token stands for.

A session is a family of refresh tokens. Its id is the claim `sid`; its tokens are the rows
OutstandingToken with the ids `<sid>.0`, `<sid>.1`, …, of which at most one is not blacklisted.
A session without such a token is over, and its access tokens are refused with it.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, cast
from uuid import UUID, uuid4

from django.conf import settings
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import ExpiredTokenError, TokenError
from rest_framework_simplejwt.settings import api_settings
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import AccessToken, Token
from rest_framework_simplejwt.utils import datetime_from_epoch, get_md5_hash_password

from accounts import audit, rate_limits
from accounts.models import Member

SESSION_LIFETIME: Final = timedelta(days=30)  # however often it is refreshed (ASVS 10.4.8)
LONGEST_TOKEN: Final = 4096  # characters; ours have about 600

ATTEMPTS_PER_ACCOUNT: Final = rate_limits.Limit(10, 15 * 60)
ATTEMPTS_PER_ADDRESS: Final = rate_limits.Limit(50, 15 * 60)


class WrongCredentials(Exception):
    """E-mail and password do not belong to a member who may sign in. Which of the two, is not said."""


class InvalidToken(Exception):
    """The token stands for nobody: not ours, of another kind, or its session is over."""


class TokenExpired(InvalidToken):
    """The token is ours and its time is over."""


class TooManyAttempts(Exception):
    """The password was not even looked at; `retry_after` seconds must pass first."""

    def __init__(self, retry_after: int) -> None:
        minutes = -(-retry_after // 60)
        super().__init__(
            ngettext(
                "Too many attempts to sign in. Try again in %(minutes)d minute.",
                "Too many attempts to sign in. Try again in %(minutes)d minutes.",
                minutes,
            )
            % {"minutes": minutes}
        )
        self.retry_after = retry_after


class PasswordRefused(Exception):
    """The password was not changed. `field` is `current` or `new`, `messages` say what is wrong."""

    def __init__(self, field: str, messages: list[str]) -> None:
        super().__init__(" ".join(messages))
        self.field = field
        self.messages = messages


class _Refresh(Token):
    """A refresh token, read without simplejwt's own look at the blacklist: ours is under the lock."""

    token_type = "refresh"  # noqa: S105 - a kind, not a secret
    lifetime = api_settings.REFRESH_TOKEN_LIFETIME


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a signed-in client keeps: the access token for requests, the refresh token for the next pair."""

    access: str
    refresh: str

    def __repr__(self) -> str:
        return "Tokens(…)"


# --- verbs ----------------------------------------------------------------------------------------
def sign_in(*, email: str, password: str, address: str | None = None) -> Tokens:
    """Begin a session for the member with these credentials.

    Raises: WrongCredentials; TooManyAttempts.
    """
    member = identify(email=email, password=password, address=address)
    with transaction.atomic():
        # The member's row first, as in set_password: in one order nobody waits in a circle.
        member.last_login = timezone.now()
        member.save(update_fields=["last_login"])
        OutstandingToken.objects.filter(user=member, expires_at__lt=timezone.now()).delete()
        audit.record(act="session.began", subject=member, member=member, address=address)
        return _next_tokens(member, session=uuid4().hex, number=0, began_at=timezone.now())


def identify(*, email: str, password: str, address: str | None = None) -> Member:
    """Return the member with these credentials; an attempt that fails is counted.

    Takes the same time and says the same whether or not the e-mail address exists.

    Raises: WrongCredentials; TooManyAttempts, per account and per address.
    """
    member = _named(email)
    # By the member, since several spellings of an address may be his.
    account = email.strip().lower() if member is None else str(member.pk)
    attempt = _Attempt.begin(account=account, address=address)
    if member is None:
        Member().set_password(password)  # the work that a password of a member would have cost
        raise WrongCredentials(_wrong_credentials())
    if not member.check_password(password) or not member.is_admitted:
        raise WrongCredentials(_wrong_credentials())
    attempt.succeeded()
    return member


def _named(email: str) -> Member | None:
    try:
        return Member.objects.get_by_natural_key(email)
    except Member.DoesNotExist:
        return None


def refresh(*, refresh_token: str) -> Tokens:
    """Exchange a refresh token for a new pair; the old one is dead.

    A token works once. Using it again, which only a copy explains, ends the session for whoever
    holds it. Of several at once one gets the pair, and the others end the session.

    Raises: InvalidToken; TokenExpired.
    """
    claims = _read(_Refresh, refresh_token)
    session, number = _place(claims)
    with transaction.atomic():
        family = _lock(session)
        member = _member(claims)
        alive = family.filter(blacklistedtoken=None)
        is_alive = alive.filter(jti=claims["jti"]).exists()
        _blacklist(alive)
        tokens = None
        if member is not None and is_alive:
            tokens = _next_tokens(
                member,
                session=session,
                number=number + 1,
                began_at=datetime_from_epoch(claims["auth_time"]),
            )
    # Raised only here, outside the transaction: what was revoked must be committed.
    if tokens is None:
        raise InvalidToken(_session_is_over())
    return tokens


def member_with(*, access_token: str) -> tuple[Member, dict[str, Any]]:
    """Return the member whom an access token stands for, and its claims. One query.

    Role, organization and whether he may act are the database's, of this moment, not the token's.

    Raises: InvalidToken; TokenExpired.
    """
    claims = _read(AccessToken, access_token)
    session = claims.get("sid")
    member = _member(claims, session=str(session)) if session else None
    if member is None:
        raise InvalidToken(_session_is_over())
    return member, claims


def logout(
    *, member: Member, session: str, refresh_token: str | None = None, address: str | None = None
) -> None:
    """End this session, and the session of `refresh_token` where one is given, with all their tokens.

    A refresh token that is already dead changes nothing.

    Raises: InvalidToken when the refresh token is not one of this member; then nothing has ended.
    """
    sessions = {session}
    if refresh_token is not None:
        try:
            claims = _read(_Refresh, refresh_token)
        except TokenExpired:
            pass  # it is as dead as it should be
        else:
            if claims.get(api_settings.USER_ID_CLAIM) != str(member.pk):
                raise InvalidToken(_("Send the refresh token of your own session, or none."))
            sessions.add(_place(claims)[0])
    with transaction.atomic():
        # In one order everywhere, so that two logouts cannot wait for each other.
        for one in sorted(sessions):
            _blacklist(_lock(one).filter(blacklistedtoken=None))
        audit.record(act="session.ended", subject=member, member=member, address=address)


def change_password(
    *, member: Member, current_password: str, new_password: str, address: str | None = None
) -> None:
    """Give the member a password only he knows; every session and every token of his ends.

    Raises: PasswordRefused; TooManyAttempts after too many wrong current passwords.
    """
    attempt = _Attempt.begin(account=str(member.pk), address=address)
    if not member.check_password(current_password):
        raise PasswordRefused("current", [_("This is not your current password.")])
    attempt.succeeded()
    if new_password == current_password:
        raise PasswordRefused("new", [_("Choose a password that differs from the current one.")])
    try:
        validate_password(new_password, member)
    except ValidationError as error:
        raise PasswordRefused("new", error.messages) from error
    set_password(member=member, password=new_password, by=member, address=address)


@transaction.atomic
def set_password(
    *, member: Member, password: str, by: Member, one_time: bool = False, address: str | None = None
) -> None:
    """Store the password and end every session of the member. `one_time`: somebody else knows it."""
    member.set_password(password)
    member.has_one_time_password = one_time
    member.save(update_fields=["password", "has_one_time_password", "updated_at"])
    end_all(member=member)
    audit.record(
        act="member.password_reset" if one_time else "member.password_changed",
        subject=member,
        member=by,
        organization=member.organization,
        address=address,
    )


def end_all(*, member: Member) -> None:
    """End every session of the member; his tokens are refused from this commit on."""
    _blacklist(
        OutstandingToken.objects.select_for_update(of=("self",))
        .filter(user=member, blacklistedtoken=None)
        .order_by("id")
    )


# --- tokens ---------------------------------------------------------------------------------------
def _read(kind: type[Token], written: str) -> dict[str, Any]:
    """Return the claims of a token of this kind that we signed and whose time is not over.

    Raises: InvalidToken; TokenExpired.
    """
    if len(written) > LONGEST_TOKEN:
        raise InvalidToken(_not_a_token())
    refusal: TokenError | None = None
    # The key in force first: what is signed by an earlier one is refused by it, and only then tried.
    for key in (None, *settings.JWT_SIGNING_KEY_FALLBACKS):
        try:
            # simplejwt names its own class where it takes the text of a token.
            return dict(_signed_by(key, kind)(cast("Any", written)).payload)
        except ExpiredTokenError as error:
            raise TokenExpired(
                _("This token has expired. Refresh it, or sign in again.")
            ) from error
        except TokenError as error:
            refusal = error
    raise InvalidToken(_not_a_token()) from refusal


def _signed_by(key: str | None, kind: type[Token]) -> type[Token]:
    """Return the kind of token as it reads what an earlier key signed; None is the key in force."""
    if key is None:
        return kind
    reader = TokenBackend(
        api_settings.ALGORITHM,
        key,
        audience=api_settings.AUDIENCE,
        issuer=api_settings.ISSUER,
        leeway=api_settings.LEEWAY,
    )
    return type(kind.__name__, (kind,), {"_token_backend": reader})


def _place(claims: dict[str, Any]) -> tuple[str, int]:
    """Return session and number of a refresh token.

    Raises: InvalidToken when it carries none.
    """
    session, _dot, number = str(claims.get("jti", "")).partition(".")
    if not session or not number.isdecimal() or "auth_time" not in claims:
        raise InvalidToken(_not_a_token())
    return session, int(number)


def _next_tokens(member: Member, *, session: str, number: int, began_at: datetime) -> Tokens:
    end = began_at + SESSION_LIFETIME
    written = []
    for kind in (_Refresh, AccessToken):
        token = kind()
        expires_at = min(token.current_time + kind.lifetime, end)
        token.set_exp(from_time=expires_at, lifetime=timedelta())
        token[api_settings.JTI_CLAIM] = f"{session}.{number}" if kind is _Refresh else uuid4().hex
        token[api_settings.USER_ID_CLAIM] = str(member.pk)
        token[api_settings.REVOKE_TOKEN_CLAIM] = get_md5_hash_password(member.password)
        token["sid"] = session
        token["auth_time"] = int(began_at.timestamp())
        if kind is _Refresh:
            # The token itself is not stored: who reads the table must not be able to use it.
            OutstandingToken.objects.create(
                user=member,
                jti=token[api_settings.JTI_CLAIM],
                created_at=token.current_time,
                expires_at=expires_at,
            )
        written.append(str(token))
    return Tokens(refresh=written[0], access=written[1])


def _member(claims: dict[str, Any], *, session: str | None = None) -> Member | None:
    """Return the member of these claims as the database has him now; None when he may not act.

    With `session`, only while that session goes on.
    """
    try:
        key = UUID(str(claims.get(api_settings.USER_ID_CLAIM)))
    except ValueError:
        return None
    members = Member.objects.select_related("organization").filter(pk=key)
    if session is not None:
        alive = OutstandingToken.objects.filter(
            user=OuterRef("pk"), jti__startswith=f"{session}.", blacklistedtoken=None
        )
        members = members.filter(Exists(alive))
    # One at most. `first()` takes a quarter longer: it would have PostgreSQL sort them.
    member = next(iter(members), None)
    if member is None or not member.is_admitted:
        return None
    if claims.get(api_settings.REVOKE_TOKEN_CLAIM) != get_md5_hash_password(member.password):
        return None
    return member


def _lock(session: str) -> QuerySet[OutstandingToken]:
    """Return the tokens of a session, to be read again: until the commit nobody else changes them."""
    family = OutstandingToken.objects.filter(jti__startswith=f"{session}.")
    # Everybody begins with the oldest row, so one of them waits here; what the other wrote
    # meanwhile is seen by the next statement, not by this one.
    list(family.select_for_update().order_by("id").values_list("id"))
    return family


def _blacklist(tokens: QuerySet[OutstandingToken]) -> None:
    BlacklistedToken.objects.bulk_create(
        [BlacklistedToken(token=token) for token in tokens], ignore_conflicts=True
    )


# --- attempts -------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class _Attempt:
    """One look at a password, counted before it happens, so that many at once are all counted."""

    keys: tuple[str, ...]

    @classmethod
    def begin(cls, *, account: str, address: str | None) -> _Attempt:
        """Count the attempt. Raises: TooManyAttempts."""
        digest = hashlib.sha256(account.encode()).hexdigest()[:32]
        windows = {f"sign-in:account:{digest}": ATTEMPTS_PER_ACCOUNT}
        if address:
            windows[f"sign-in:address:{_network(address)}"] = ATTEMPTS_PER_ADDRESS
        counted: list[str] = []
        for key, limit in windows.items():
            taken = rate_limits.take(key, limit=limit)
            if not taken.granted:
                for other in counted:
                    rate_limits.give_back(other)
                raise TooManyAttempts(max(round(taken.resets_in), 1))
            counted.append(key)
        return cls(tuple(counted))

    def succeeded(self) -> None:
        """Take the attempt out of the count: only failures fill it."""
        for key in self.keys:
            rate_limits.give_back(key)


def _network(address: str) -> str:
    """Return who stands behind an address: one person has a whole /64 of IPv6."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    return str(ipaddress.ip_network((ip, 64), strict=False))


def _wrong_credentials() -> str:
    return _("E-mail address or password is wrong. Check both and try again.")


def _session_is_over() -> str:
    return _("This token is not valid any more. Sign in again.")


def _not_a_token() -> str:
    return _("This token is not valid here. Sign in to get one.")
