"""The wire's shapes of sign-in, members, terms, organizations and keys."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts import terms
from accounts.doors.fields import ChangedField, MomentField, StrictCharField
from accounts.models import ApiKey, Member, Organization, Terms, TermsAcceptance


class SignIn(serializers.Serializer[Any]):
    """An e-mail address and a password."""

    email = StrictCharField(max_length=254)
    password = StrictCharField(max_length=1024, trim_whitespace=False)


class RefreshRequest(serializers.Serializer[Any]):
    """The refresh token of the last pair."""

    refreshToken = StrictCharField()


class Logout(serializers.Serializer[Any]):
    """The refresh token to end as well, where the client keeps one of another session."""

    refreshToken = StrictCharField(required=False, allow_null=True)


class TokenPair(serializers.Serializer[Any]):
    """The access token for requests, and the refresh token for the next pair."""

    accessToken = serializers.CharField()
    refreshToken = serializers.CharField()


class ChangePassword(serializers.Serializer[Any]):
    """The current password, and the new one twice."""

    currentPassword = StrictCharField(max_length=1024, trim_whitespace=False)
    newPassword = StrictCharField(max_length=1024, trim_whitespace=False)
    confirmPassword = StrictCharField(max_length=1024, trim_whitespace=False)


class Told(serializers.Serializer[Any]):
    """A sentence for the person."""

    message = serializers.CharField()


class RoleOf(serializers.Serializer[Any]):
    """A role: its id for programs, its name for people."""

    id = serializers.CharField()
    name = serializers.CharField()


class Me(serializers.ModelSerializer[Member]):
    """The member that is asking."""

    organizationId = serializers.UUIDField(source="organization_id", allow_null=True)
    role = serializers.SerializerMethodField()
    termsAccepted = serializers.SerializerMethodField()
    mustChangePassword = serializers.BooleanField(source="has_one_time_password")

    class Meta:
        model = Member
        fields = [
            "id",
            "name",
            "email",
            "organizationId",
            "role",
            "termsAccepted",
            "mustChangePassword",
        ]
        read_only_fields = fields

    @extend_schema_field(RoleOf(allow_null=True))
    def get_role(self, member: Member) -> dict[str, str] | None:
        return {"id": member.role, "name": member.get_role_display()} if member.role else None

    def get_termsAccepted(self, member: Member) -> bool:  # noqa: N802 - named by the wire's field
        return terms.has_accepted(member)


class CurrentTerms(serializers.ModelSerializer[Terms]):
    """The terms in force, and whether the asking member accepted them."""

    publishedAt = MomentField(source="published_at", read_only=True)
    accepted = serializers.SerializerMethodField()

    class Meta:
        model = Terms
        fields = ["version", "title", "body", "publishedAt", "accepted"]
        read_only_fields = fields

    def get_accepted(self, in_force: Terms) -> bool:
        return in_force.acceptances.filter(member=self.context["member"]).exists()


class AcceptTerms(serializers.Serializer[Any]):
    """The version to accept: the one in force."""

    version = StrictCharField(max_length=32)


class AcceptOrganizationTerms(serializers.Serializer[Any]):
    """The version to accept: the one in force."""

    termsVersion = StrictCharField(max_length=32)


class OrganizationDetail(serializers.ModelSerializer[Organization]):
    """The member's organization, and the last terms that the asking member accepted."""

    email = serializers.CharField(read_only=True)  # may be empty, which no e-mail address is
    allowedCountries = serializers.ListField(
        child=serializers.CharField(), source="allowed_countries", read_only=True
    )
    termsAcceptedVersion = serializers.SerializerMethodField()
    termsAcceptedAt = serializers.SerializerMethodField()
    createdAt = MomentField(source="created_at", read_only=True)
    updatedAt = ChangedField()

    class Meta:
        model = Organization
        fields = [
            "id",
            "name",
            "email",
            "country",
            "status",
            "allowedCountries",
            "termsAcceptedVersion",
            "termsAcceptedAt",
            "createdAt",
            "updatedAt",
        ]
        read_only_fields = fields

    def to_representation(self, organization: Organization) -> dict[str, Any]:
        self.acceptance = (
            TermsAcceptance.objects.filter(member=self.context["member"])
            .select_related("terms")
            .order_by("-created_at", "-id")
            .first()
        )
        return super().to_representation(organization)

    @extend_schema_field(serializers.CharField(allow_null=True))
    def get_termsAcceptedVersion(self, _organization: Organization) -> str | None:  # noqa: N802
        return self.acceptance.terms.version if self.acceptance is not None else None

    @extend_schema_field(serializers.DateTimeField(allow_null=True))
    def get_termsAcceptedAt(self, _organization: Organization) -> str | None:  # noqa: N802
        if self.acceptance is None:
            return None
        return MomentField().to_representation(self.acceptance.created_at)


class NewApiKey(serializers.Serializer[Any]):
    """What the key is called: the program that uses it."""

    name = StrictCharField(max_length=100)


class ApiKeyOnList(serializers.ModelSerializer[ApiKey]):
    """One key of the organization: how it begins, and whether it is still served."""

    key = serializers.SerializerMethodField()
    organizationId = serializers.UUIDField(source="organization_id")
    memberId = serializers.UUIDField(source="member_id")
    isActive = serializers.BooleanField(source="is_active")
    lastUsedAt = MomentField(source="last_used_at", allow_null=True)
    createdAt = MomentField(source="created_at")
    updatedAt = ChangedField()

    class Meta:
        model = ApiKey
        fields = [
            "id",
            "key",
            "name",
            "organizationId",
            "memberId",
            "isActive",
            "lastUsedAt",
            "createdAt",
            "updatedAt",
        ]
        read_only_fields = fields

    def get_key(self, key: ApiKey) -> str:
        return f"{key.prefix}…"


class ApiKeyShownOnce(ApiKeyOnList):
    """The new key, whole. It is shown in this answer and never again."""

    def get_key(self, key: ApiKey) -> str:  # noqa: ARG002 - the method field's signature
        return str(self.context["written"])


class ApiKeyEnded(serializers.Serializer[Any]):
    """Which key was ended."""

    message = serializers.CharField()
    id = serializers.UUIDField()
