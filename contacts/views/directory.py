"""Contacts over HTTP: listing, counting, exporting, adding, changing, removing."""

from __future__ import annotations

from itertools import chain
from typing import Any, Final, cast
from uuid import UUID

from django.http import StreamingHttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors import csv_rows
from accounts.doors.addresses import address_of
from accounts.doors.organization import for_org, member_of, organization_of
from accounts.doors.pagination import Pages
from accounts.doors.schema import BODY, refusals
from accounts.doors.views import OrganizationView, listed, queried, validated
from accounts.roles import Right
from contacts import directory, exporting, tags, workbooks
from contacts.models import Contact, ContactQuerySet, Tag
from contacts.serializers import (
    ContactChanges,
    ContactDeleted,
    ContactFilter,
    ContactSerializer,
    ContactTotal,
    ExportFilter,
    NewContact,
)

_SHOWN: Final[dict[str, Any]] = {
    "id": "019a3c5e-1f6b-7c60-8f3a-6f0f4f0c1a01",
    "name": "Ana María",
    "lastName": "Londoño",
    "email": "ana@example.org",
    "phone": "300 123 4567",
    "countryCode": "57",
    "country": "CO",
    "e164": "+573001234567",
    "status": "ACTIVE",
    "origin": "API",
    "birthDate": "1990-05-17",
    "tags": [],
    "organizationId": "0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10",
    "createdAt": "2026-01-31T12:00:00.000Z",
    "updatedAt": "2026-01-31T12:00:00.000Z",
    "deletedAt": None,
}
_WRITTEN: Final = {
    "phone": "300 123 4567",
    "country": "CO",
    "name": "Ana María",
    "lastName": "Londoño",
    "birthDate": "1990-05-17",
}
_NOT_FOUND: Final = "Your organization has no such contact (2000)."
_NO_TAG: Final = "Your organization has no such contact (2000), or no such tag (1005)."
_DUPLICATE: Final = "Another contact has this number (2003)."
_WRONG: Final = "A field is missing or wrong (4000), or `phone` is no phone number (2004)."
_FORBIDDEN: Final = "The role may not manage contacts (1003)."


class ContactView(OrganizationView):
    """What the views of contacts share: who may read, and which contacts there are."""

    right = Right.READ

    def living(self, request: Request) -> ContactQuerySet:
        return cast("ContactQuerySet", for_org(request, Contact)).living()

    def narrowed(self, request: Request, fields: dict[str, Any]) -> ContactQuerySet:
        country = organization_of(request).country
        return directory.narrow(contacts=self.living(request), country=country, **fields)

    def one(self, request: Request, contact_id: UUID) -> Contact:
        contact = self.living(request).filter(pk=contact_id).prefetch_related("tags").first()
        if contact is None:
            raise directory.ContactNotFound(
                _("There is no such contact in your organization. Check the id.")
            )
        contact.organization = organization_of(request)
        return contact

    def tags(self, request: Request, fields: dict[str, Any]) -> list[Tag] | None:
        """Take the ids of tags out of the fields and return the tags; None where none are given."""
        ids = fields.pop("tag_ids", None)
        return None if ids is None else tags.of(organization=organization_of(request), ids=ids)


class ContactsView(ContactView):
    rights = {"POST": Right.MANAGE_CONTACTS}
    pagination_class = Pages

    @extend_schema(
        operation_id="listContacts",
        summary="List contacts",
        parameters=[ContactFilter],
        responses={200: ContactSerializer(many=True), **refusals(400, 401, 403, 429)},
        tags=["contacts"],
    )
    def get(self, request: Request) -> Response:
        contacts = self.narrowed(request, queried(request, ContactFilter))
        return listed(request, contacts.prefetch_related("tags"), ContactSerializer)

    @extend_schema(
        operation_id="createContact",
        summary="Add a contact",
        description=(
            "The number may be written in any usual way. A national one is read with the contact's "
            "country, else with your organization's. A number that another contact has is refused."
        ),
        request=NewContact,
        responses={
            201: ContactSerializer,
            **refusals(
                *BODY,
                401,
                403,
                404,
                409,
                429,
                _400=_WRONG,
                _403=_FORBIDDEN,
                _404="Your organization has no such tag (1005).",
                _409=_DUPLICATE,
            ),
        },
        examples=[
            OpenApiExample("A contact to be", _WRITTEN, request_only=True),
            OpenApiExample("Added", _SHOWN, response_only=True, status_codes=["201"]),
        ],
        tags=["contacts"],
    )
    def post(self, request: Request) -> Response:
        fields = validated(request, NewContact)
        carried = self.tags(request, fields)
        contact = Contact(
            organization=organization_of(request), origin=Contact.Origin.API, **fields
        )
        directory.add(
            contact=contact, tags=carried or (), by=member_of(request), address=address_of(request)
        )
        return Response(ContactSerializer(contact).data, status=201)


class OneContactView(ContactView):
    rights = {"PATCH": Right.MANAGE_CONTACTS, "DELETE": Right.MANAGE_CONTACTS}

    @extend_schema(
        operation_id="getContact",
        summary="One contact",
        responses={200: ContactSerializer, **refusals(401, 403, 404, 429, _404=_NOT_FOUND)},
        examples=[OpenApiExample("A contact", _SHOWN, response_only=True)],
        tags=["contacts"],
    )
    def get(self, request: Request, contact_id: UUID) -> Response:
        return Response(ContactSerializer(self.one(request, contact_id)).data)

    @extend_schema(
        operation_id="changeContact",
        summary="Change a contact",
        description="What is left out stays as it is. `tagIds` replaces all of its tags.",
        request=ContactChanges,
        responses={
            200: ContactSerializer,
            **refusals(
                *BODY,
                401,
                403,
                404,
                409,
                429,
                _400=_WRONG,
                _403=_FORBIDDEN,
                _404=_NO_TAG,
                _409=_DUPLICATE,
            ),
        },
        examples=[
            OpenApiExample("Block", {"status": "BLOCKED"}, request_only=True),
            OpenApiExample(
                "Blocked", {**_SHOWN, "status": "BLOCKED"}, response_only=True, status_codes=["200"]
            ),
        ],
        tags=["contacts"],
    )
    def patch(self, request: Request, contact_id: UUID) -> Response:
        # Looked up before the body is read: what is another's answers 404 to any body.
        contact = self.one(request, contact_id)
        fields = validated(request, ContactChanges)
        carried = self.tags(request, fields)
        changed = [name for name, value in fields.items() if getattr(contact, name) != value]
        for name in changed:
            setattr(contact, name, fields[name])
        directory.change(
            contact=contact,
            fields=changed,
            tags=carried,
            by=member_of(request),
            address=address_of(request),
        )
        return Response(ContactSerializer(contact).data)

    @extend_schema(
        operation_id="deleteContact",
        summary="Delete a contact",
        description="It leaves every list and audience. Its messages and an opt-out of its number stay.",
        responses={
            200: ContactDeleted,
            **refusals(401, 403, 404, 429, _403=_FORBIDDEN, _404=_NOT_FOUND),
        },
        examples=[
            OpenApiExample(
                "Deleted",
                {
                    "message": "The contact was deleted. Its messages stay.",
                    "deletedContactId": _SHOWN["id"],
                },
                response_only=True,
                status_codes=["200"],
            )
        ],
        tags=["contacts"],
    )
    def delete(self, request: Request, contact_id: UUID) -> Response:
        contact = self.one(request, contact_id)
        directory.remove(
            contacts=self.living(request).filter(pk=contact.pk),
            by=member_of(request),
            address=address_of(request),
        )
        return Response(
            {
                "message": _("The contact was deleted. Its messages stay."),
                "deletedContactId": contact.pk,
            }
        )


class ContactTotalView(ContactView):
    @extend_schema(
        operation_id="countContacts",
        summary="Count contacts",
        description="Exactly, however many there are.",
        parameters=[ContactFilter],
        responses={200: ContactTotal, **refusals(400, 401, 403, 429)},
        examples=[OpenApiExample("A million", {"total": 1_000_000}, response_only=True)],
        tags=["contacts"],
    )
    def get(self, request: Request) -> Response:
        return Response({"total": self.narrowed(request, queried(request, ContactFilter)).count()})


class ContactExportView(ContactView):
    @extend_schema(
        operation_id="exportContacts",
        summary="Export contacts",
        description=(
            "All contacts of the filter, oldest first, streamed: as CSV, or as a workbook by "
            "`?format=xlsx`, which holds a million rows. No cell is ever a formula. Either can be imported "
            "again."
        ),
        parameters=[ExportFilter],
        responses={
            **csv_rows.documented("One line a contact."),
            (200, workbooks.CONTENT_TYPE): OpenApiResponse(
                OpenApiTypes.BINARY, "One row a contact."
            ),
            **refusals(400, 401, 403, 429),
        },
        tags=["contacts"],
    )
    def get(self, request: Request) -> StreamingHttpResponse:
        fields = queried(request, ExportFilter)
        kind = fields.pop("format")
        contacts = self.narrowed(request, fields)
        longest = workbooks.LONGEST_SHEET
        if kind == "xlsx" and exporting.has_more_than(longest, contacts=contacts):
            raise ValidationError(
                {
                    "format": [
                        _("A workbook holds a million contacts. Narrow the filter, or export CSV.")
                    ]
                }
            )
        exporting.record(
            kind=kind, filters=fields, by=member_of(request), address=address_of(request)
        )
        pages = exporting.pages(contacts=contacts)
        if kind == "csv":
            return csv_rows.answer("contacts.csv", exporting.HEADER, pages)
        first = next(
            pages, []
        )  # what fails by now is refused as usual, what fails later broken off
        return StreamingHttpResponse(
            workbooks.stream(header=exporting.HEADER, pages=chain([first], pages)),
            content_type=workbooks.CONTENT_TYPE,
            headers={"Content-Disposition": 'attachment; filename="contacts.xlsx"'},
        )
