"""The API's doors of sign-in, terms, organizations and keys."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import api_keys, serializers, sessions, terms
from accounts.authentication import BearerToken
from accounts.doors.addresses import address_of
from accounts.doors.organization import for_org, member_of
from accounts.doors.pagination import Pages
from accounts.doors.schema import BODY, refusals
from accounts.doors.views import OrganizationView, listed, validated
from accounts.models import ApiKey, Organization
from accounts.roles import Right

_SIGN_IN_THROTTLED = (
    "Too many attempts for this account or from this address (4029); see `Retry-After`."
)


def _pair(tokens: sessions.Tokens) -> Response:
    answer = Response({"accessToken": tokens.access, "refreshToken": tokens.refresh})
    answer["Cache-Control"] = "no-store"  # RFC 6749, 5.1
    return answer


def _session(request: Request) -> str:
    claims: Any = request.auth  # what `BearerToken` made of the token
    return str(claims["sid"])


class PublicView(APIView):
    """A door without credentials: it gives them out, so a stale token beside it must not matter."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = []


class SignInView(PublicView):
    @extend_schema(
        operation_id="signIn",
        tags=["Sign-in"],
        summary="Begin a session",
        auth=[],
        request=serializers.SignIn,
        responses={
            200: serializers.TokenPair,
            **refusals(
                *BODY, 401, 429, _401="E-mail or password is wrong (1001).", _429=_SIGN_IN_THROTTLED
            ),
        },
    )
    def post(self, request: Request) -> Response:
        fields = validated(request, serializers.SignIn)
        return _pair(sessions.sign_in(**fields, address=address_of(request)))


class RefreshView(PublicView):
    @extend_schema(
        operation_id="refreshTokens",
        tags=["Sign-in"],
        summary="Exchange the refresh token for a new pair",
        description="A refresh token works once. Using it a second time ends the session.",
        auth=[],
        request=serializers.RefreshRequest,
        responses={
            200: serializers.TokenPair,
            **refusals(
                *BODY, 401, _401="The token is not valid any more (1008) or expired (1009)."
            ),
        },
    )
    def post(self, request: Request) -> Response:
        fields = validated(request, serializers.RefreshRequest)
        return _pair(sessions.refresh(refresh_token=fields["refreshToken"]))


class LogoutView(APIView):
    authentication_classes = [BearerToken]  # a key has no session that could end
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="logout",
        tags=["Sign-in"],
        summary="End the session",
        description="The session's access and refresh tokens are refused from now on.",
        request=serializers.Logout,
        responses={200: serializers.Told, **refusals(*BODY, 401, 429)},
    )
    def post(self, request: Request) -> Response:
        fields = validated(request, serializers.Logout)
        sessions.logout(
            member=member_of(request),
            session=_session(request),
            refresh_token=fields.get("refreshToken"),
            address=address_of(request),
        )
        return Response({"message": _("You are signed out.")})


class ChangePasswordView(APIView):
    authentication_classes = [BearerToken]  # whoever finds a key must not take the account by it
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="changePassword",
        tags=["Sign-in"],
        summary="Change the password",
        description="Every session of the member ends, this one too: sign in with the new password.",
        request=serializers.ChangePassword,
        responses={
            200: serializers.Told,
            **refusals(
                *BODY,
                401,
                429,
                _429="Too many requests, or too many wrong current passwords (4029).",
            ),
        },
    )
    def post(self, request: Request) -> Response:
        fields = validated(request, serializers.ChangePassword)
        if fields["newPassword"] != fields["confirmPassword"]:
            raise ValidationError(
                {"confirmPassword": [_("The two new passwords differ: write the same one twice.")]}
            )
        try:
            sessions.change_password(
                member=member_of(request),
                current_password=fields["currentPassword"],
                new_password=fields["newPassword"],
                address=address_of(request),
            )
        except sessions.PasswordRefused as refusal:
            raise ValidationError({f"{refusal.field}Password": refusal.messages}) from refusal
        return Response({"message": _("Your password is changed. Sign in with the new one.")})


class MeView(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="getMe",
        tags=["Sign-in"],
        summary="Who is signed in",
        responses={200: serializers.Me, **refusals(401, 429)},
    )
    def get(self, request: Request) -> Response:
        return Response(serializers.Me(member_of(request)).data)


class CurrentTermsView(APIView):
    permission_classes = [IsAuthenticated]

    @extend_schema(
        operation_id="getCurrentTerms",
        tags=["Terms"],
        summary="The terms in force",
        responses={
            200: serializers.CurrentTerms,
            **refusals(401, 404, 429, _404="No terms are published yet (1005)."),
        },
    )
    def get(self, request: Request) -> Response:
        return Response(_current_terms(request))


class AcceptTermsView(OrganizationView):
    right = Right.READ

    @extend_schema(
        operation_id="acceptTerms",
        tags=["Terms"],
        summary="Accept the terms in force",
        request=serializers.AcceptTerms,
        responses={
            200: serializers.CurrentTerms,
            **refusals(
                *BODY,
                401,
                403,
                409,
                429,
                _403="A platform superuser accepts nothing (1003).",
            ),
        },
    )
    def post(self, request: Request) -> Response:
        fields = validated(request, serializers.AcceptTerms)
        _accept(request, field="version", version=fields["version"])
        return Response(_current_terms(request))


class OrganizationDetailView(OrganizationView):
    right = Right.READ

    @extend_schema(
        operation_id="getOrganization",
        tags=["Organization"],
        summary="Your organization",
        responses={
            200: serializers.OrganizationDetail,
            **refusals(401, 403, 404, 429, _403="A platform superuser belongs to none (1003)."),
        },
    )
    def get(self, request: Request, organization_id: str) -> Response:
        return Response(_organization(request, organization_id))


class AcceptOrganizationTermsView(OrganizationView):
    right = Right.READ

    @extend_schema(
        operation_id="acceptOrganizationTerms",
        tags=["Organization"],
        summary="Accept the terms in force",
        description="The same acceptance as `POST /api/terms/accept`: it belongs to the member.",
        request=serializers.AcceptOrganizationTerms,
        responses={
            200: serializers.OrganizationDetail,
            **refusals(
                *BODY,
                401,
                403,
                404,
                409,
                429,
                _403="A platform superuser accepts nothing (1003).",
            ),
        },
    )
    def post(self, request: Request, organization_id: str) -> Response:
        # Looked up before the body is read: another's organization answers 404 to any body.
        get_object_or_404(for_org(request, Organization, path="pk"), pk=organization_id)
        fields = validated(request, serializers.AcceptOrganizationTerms)
        _accept(request, field="termsVersion", version=fields["termsVersion"])
        return Response(_organization(request, organization_id))


class ApiKeysView(OrganizationView):
    right = Right.MANAGE_KEYS
    pagination_class = Pages

    @extend_schema(
        operation_id="listApiKeys",
        tags=["API keys"],
        summary="The keys of your organization",
        description="Newest first, those that were ended too. `key` is only how a key begins.",
        responses={200: serializers.ApiKeyOnList(many=True), **refusals(400, 401, 403, 429)},
    )
    def get(self, request: Request) -> Response:
        return listed(request, for_org(request, ApiKey), serializers.ApiKeyOnList)

    @extend_schema(
        operation_id="addApiKey",
        tags=["API keys"],
        summary="Make a key for a program",
        description=(
            "The program sends it as the header `api-key`, and may do what you may, but for managing "
            "keys, members and settings, approving broadcasts, accepting terms and changing passwords. "
            "It ends when you are switched off. The whole key is shown only in this answer."
        ),
        request=serializers.NewApiKey,
        responses={201: serializers.ApiKeyShownOnce, **refusals(*BODY, 401, 403, 429)},
    )
    def post(self, request: Request) -> Response:
        key = ApiKey(**validated(request, serializers.NewApiKey))
        written = api_keys.add(key=key, by=member_of(request), address=address_of(request))
        shown = serializers.ApiKeyShownOnce(key, context={"written": written}).data
        answer = Response(shown, status=status.HTTP_201_CREATED)
        answer["Cache-Control"] = "no-store"
        return answer


class ApiKeyView(OrganizationView):
    right = Right.MANAGE_KEYS

    @extend_schema(
        operation_id="endApiKey",
        tags=["API keys"],
        summary="End a key",
        description="It is refused from now on. Its row stays, with `isActive` false.",
        responses={200: serializers.ApiKeyEnded, **refusals(401, 403, 404, 429)},
    )
    def delete(self, request: Request, key_id: UUID) -> Response:
        key = get_object_or_404(for_org(request, ApiKey), pk=key_id)
        api_keys.end(key=key, by=member_of(request), address=address_of(request))
        return Response({"message": _("The key is ended: nothing is served to it."), "id": key.pk})


def _accept(request: Request, *, field: str, version: str) -> None:
    try:
        terms.accept(
            member=member_of(request),
            version=version,
            address=address_of(request),
            user_agent=request.headers.get("User-Agent", ""),
        )
    except terms.UnknownTerms as refusal:
        raise ValidationError({field: [str(refusal)]}) from refusal


def _current_terms(request: Request) -> dict[str, Any]:
    in_force = terms.current()
    if in_force is None:
        raise NotFound(_("No terms of use are published yet. Ask the platform to publish them."))
    return serializers.CurrentTerms(in_force, context={"member": member_of(request)}).data


def _organization(request: Request, organization_id: str) -> dict[str, Any]:
    organization = get_object_or_404(for_org(request, Organization, path="pk"), pk=organization_id)
    return serializers.OrganizationDetail(organization, context={"member": member_of(request)}).data
