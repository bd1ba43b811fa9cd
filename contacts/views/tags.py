"""Tags over HTTP."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors.addresses import address_of
from accounts.doors.organization import for_org, member_of, organization_of
from accounts.doors.pagination import Pages
from accounts.doors.schema import BODY, refusals
from accounts.doors.views import OrganizationView, listed, validated
from accounts.roles import Right
from contacts import tags
from contacts.models import Tag
from contacts.serializers import (
    CountedTagSerializer,
    NewTag,
    TagChanges,
    TagDeleted,
    TagSerializer,
)

_SHOWN: Final = {
    "id": "019a3c5e-1f6b-7c61-9b2e-0c9d7a1e2b02",
    "name": "VIP",
    "description": "Customers of the first hour",
    "color": "#7c3aed",
    "organizationId": "0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10",
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
}
_FORBIDDEN: Final = "The role may not manage contacts and tags (1003)."
_NOT_FOUND: Final = "Your organization has no such tag (1005)."
_WRONG: Final = "A field is missing or wrong, or another tag has this name (4000)."


class TagView(OrganizationView):
    """What the views of tags share: who may read, and which tags there are."""

    right = Right.READ

    def one(self, request: Request, tag_id: UUID) -> Tag:
        return get_object_or_404(for_org(request, Tag), pk=tag_id)


class TagsView(TagView):
    rights = {"POST": Right.MANAGE_CONTACTS}
    pagination_class = Pages

    @extend_schema(
        operation_id="listTags",
        summary="List tags",
        responses={200: TagSerializer(many=True), **refusals(400, 401, 403, 429)},
        tags=["tags"],
    )
    def get(self, request: Request) -> Response:
        return listed(request, for_org(request, Tag), TagSerializer)

    @extend_schema(
        operation_id="createTag",
        summary="Make a tag",
        request=NewTag,
        responses={
            201: TagSerializer,
            **refusals(*BODY, 401, 403, 429, _400=_WRONG, _403=_FORBIDDEN),
        },
        examples=[
            OpenApiExample("A tag to be", {"name": "VIP"}, request_only=True),
            OpenApiExample("Made", _SHOWN, response_only=True, status_codes=["201"]),
        ],
        tags=["tags"],
    )
    def post(self, request: Request) -> Response:
        tag = Tag(organization=organization_of(request), **validated(request, NewTag))
        tags.add(tag=tag, by=member_of(request), address=address_of(request))
        return Response(TagSerializer(tag).data, status=201)


class CountedTagsView(TagView):
    pagination_class = Pages

    @extend_schema(
        operation_id="listTagsWithCounts",
        summary="List tags, and how many contacts carry each",
        responses={200: CountedTagSerializer(many=True), **refusals(400, 401, 403, 429)},
        tags=["tags"],
    )
    def get(self, request: Request) -> Response:
        pages = Pages()
        page = pages.paginate_queryset(for_org(request, Tag), request)
        counts = tags.counts(organization=organization_of(request), tags=page)
        shown = CountedTagSerializer(page, many=True, context={"counts": counts})
        return pages.get_paginated_response(list(shown.data))


class OneTagView(TagView):
    rights = {"PATCH": Right.MANAGE_CONTACTS, "DELETE": Right.MANAGE_CONTACTS}

    @extend_schema(
        operation_id="getTag",
        summary="One tag",
        responses={200: TagSerializer, **refusals(401, 403, 404, 429, _404=_NOT_FOUND)},
        examples=[OpenApiExample("A tag", _SHOWN, response_only=True)],
        tags=["tags"],
    )
    def get(self, request: Request, tag_id: UUID) -> Response:
        return Response(TagSerializer(self.one(request, tag_id)).data)

    @extend_schema(
        operation_id="changeTag",
        summary="Change a tag",
        description="What is left out stays as it is.",
        request=TagChanges,
        responses={
            200: TagSerializer,
            **refusals(*BODY, 401, 403, 404, 429, _400=_WRONG, _403=_FORBIDDEN, _404=_NOT_FOUND),
        },
        examples=[
            OpenApiExample("Another color", {"color": "#112233"}, request_only=True),
            OpenApiExample(
                "Changed", {**_SHOWN, "color": "#112233"}, response_only=True, status_codes=["200"]
            ),
        ],
        tags=["tags"],
    )
    def patch(self, request: Request, tag_id: UUID) -> Response:
        tag = self.one(request, tag_id)  # before the body is read: another's answers 404 to any
        fields = validated(request, TagChanges)
        changed = [name for name, value in fields.items() if getattr(tag, name) != value]
        for name in changed:
            setattr(tag, name, fields[name])
        tags.change(tag=tag, fields=changed, by=member_of(request), address=address_of(request))
        return Response(TagSerializer(tag).data)

    @extend_schema(
        operation_id="deleteTag",
        summary="Delete a tag",
        description="It is taken off its contacts, which stay.",
        responses={
            200: TagDeleted,
            **refusals(401, 403, 404, 429, _403=_FORBIDDEN, _404=_NOT_FOUND),
        },
        examples=[
            OpenApiExample(
                "Deleted",
                {"message": "The tag was deleted. Its contacts stay.", "id": _SHOWN["id"]},
                response_only=True,
                status_codes=["200"],
            )
        ],
        tags=["tags"],
    )
    def delete(self, request: Request, tag_id: UUID) -> Response:
        tags.remove(
            tag=self.one(request, tag_id), by=member_of(request), address=address_of(request)
        )
        return Response({"message": _("The tag was deleted. Its contacts stay."), "id": tag_id})
