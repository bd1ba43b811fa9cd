"""Describing refusals in the OpenAPI schema, so that every operation names exactly what it answers."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.plumbing import build_bearer_security_scheme_object
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema_field,
)
from rest_framework import serializers

from accounts.doors.fields import MomentField

BODY: Final = (400, 413, 415)
"""What every operation with a body may answer."""

_NEVER_EMPTY: Final = {"page", "limit", "after", "dryRun"}
"""The parameters of an address that are no filters: where they are given, they say something."""

_USUAL: Final = {
    400: ("4000", "A field is missing or wrong, or the body is not valid JSON."),
    401: (
        "1002",
        "No credentials (1002), or a token or key that is invalid (1008) or expired (1009).",
    ),
    402: ("3001", "Not enough credits (3001), or more than a spending cap allows (4020)."),
    403: ("1003", "The role may not do this (1003), or the current terms are not accepted (1022)."),
    404: ("1005", "There is no such thing in your organization."),
    409: ("1021", "You accepted this version of the terms before (1021)."),
    413: ("4042", "The body is larger than 256 kB."),
    415: ("4041", "The body is not JSON in UTF-8."),
    422: ("4011", "The Idempotency-Key stands for another request (4011)."),
    429: ("4029", "Too many requests; `Retry-After` says when to try again."),
    503: ("4090", "A part of the service is away; try again."),
}


@extend_schema_field(
    {"oneOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
)
class _Sentences(serializers.JSONField):
    """One sentence, or several."""


class Refusal(serializers.Serializer[Any]):
    """Why a request was refused, and what to do."""

    statusCode = serializers.IntegerField()  # noqa: N815 - the wire's own name
    code = serializers.CharField()
    message = _Sentences()
    error = serializers.CharField()
    fields_ = serializers.DictField(
        child=serializers.ListField(child=serializers.CharField()), required=False
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        # `fields` is what a serializer keeps its fields in, so the wire's name cannot be an attribute.
        fields = super().get_fields()
        fields["fields"] = fields.pop("fields_")
        return fields


class NotEnoughCredits(Refusal):
    """What it would have cost, what there is, and what is missing, in credits."""

    required = serializers.IntegerField()  # type: ignore[assignment]  # the metaclass takes it out
    available = serializers.IntegerField()
    shortfall = serializers.IntegerField()


class SpendingCapReached(Refusal):
    """What an organization may spend a day or a minute is reached, or smaller than this costs."""

    resetsAt = MomentField(  # noqa: N815 - the wire's own name
        allow_null=True,
        help_text="When it may be tried again; null where it costs more than the whole cap.",
    )


_SHORT: Final = {"required": 100, "available": 40, "shortfall": 60}
_CAPPED: Final = {"resetsAt": "2027-02-01T00:00:00.000Z"}
_PAYMENT: Final = PolymorphicProxySerializer(
    component_name="PaymentRequired",
    serializers=[NotEnoughCredits, SpendingCapReached],
    resource_type_field_name=None,
)

_UNREADABLE: Final = (
    "4000",
    "The request cannot be read: its address or a header is damaged or too long.",
)


def phrase(status: int) -> str:
    """Return the name of an HTTP status, the same under every version of Python."""
    renamed = {413: "Payload Too Large", 422: "Unprocessable Entity"}  # by Python 3.13
    return renamed.get(status) or HTTPStatus(status).phrase


def refusals(*statuses: int, **descriptions: str) -> dict[int, OpenApiResponse]:
    """Return the documentation of these refusals; what everything may answer comes with them: 400 and 503.

    `descriptions` say more than the usual sentence, as `_401="E-mail or password is wrong (1001)."`, in
    which the first number in brackets is the example's code.
    """
    answers = {}
    for status in sorted({*statuses, 400, 503}):
        code, description = _USUAL[status] if status in {*statuses, 503} else _UNREADABLE
        told = descriptions.get(f"_{status}")
        if told is not None:
            description = told
            code = next(
                (word.strip("(),.") for word in told.split() if word.strip("(),.").isdigit()), code
            )
        answers[status] = OpenApiResponse(
            _PAYMENT if status == HTTPStatus.PAYMENT_REQUIRED else Refusal,
            description=description,
            examples=(
                [
                    _example(status, "3001", description, **_SHORT),
                    _example(status, "4020", description, **_CAPPED),
                ]
                if status == HTTPStatus.PAYMENT_REQUIRED
                else [_example(status, code, description)]
            ),
        )
    return answers


def _example(status: int, code: str, message: str, **extras: Any) -> OpenApiExample:
    return OpenApiExample(
        f"{status} {code}" if extras else f"{status}",
        value={
            "statusCode": status,
            "code": code,
            "message": message,
            "error": phrase(status),
            **extras,
        },
        response_only=True,
        status_codes=[str(status)],
    )


def tell_what_may_be_empty(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Say of every filter that an empty one counts as left out: `accounts.doors.views.queried`."""
    for item in result["paths"].values():
        for operation in item.values():
            for parameter in operation.get("parameters", []):
                may_be_left_out = parameter["in"] == "query" and not parameter.get("required")
                if may_be_left_out and parameter["name"] not in _NEVER_EMPTY:
                    parameter["allowEmptyValue"] = True
    return result


class _BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # registers itself
    target_class = "accounts.authentication.BearerToken"
    name = "bearer"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:  # noqa: ARG002 - spectacular's signature
        return dict(build_bearer_security_scheme_object("Authorization", "Bearer", "JWT"))


class _KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # as above
    target_class = "accounts.authentication.KeyHeader"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:  # noqa: ARG002 - spectacular's signature
        return {"type": "apiKey", "in": "header", "name": "api-key"}
