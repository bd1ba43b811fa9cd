"""Imports over HTTP: looking at a file, bringing it in, following it."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.http import StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors import csv_rows
from accounts.doors.addresses import address_of
from accounts.doors.organization import for_org, member_of
from accounts.doors.schema import refusals
from accounts.doors.views import OrganizationView, validated
from accounts.roles import Right
from contacts import tasks
from contacts.import_rows import ImportJob
from contacts.import_serializers import (
    ImportRequest,
    ImportSerializer,
    PreviewRequest,
    PreviewSerializer,
    StartedSerializer,
)
from contacts.imports import jobs, reports
from contacts.imports.mapping import FIELDS
from contacts.imports.uploads import FileParser

_JOB: Final = "019a3c5e-1f6b-7c60-8f3a-6f0f4f0c1a01"
_PREVIEW: Final = {
    "headers": ["Nombre", "Celular"],
    "sampleData": [{"Nombre": "Ana", "Celular": "300 123 4567"}],
    "availableFields": list(FIELDS),
    "totalRows": 1,
    "fieldMapping": {"phone": "Celular", "name": "Nombre"},
}
_STATUS: Final = {
    "jobId": _JOB,
    "status": "COMPLETED",
    "message": "",
    "progress": 3,
    "total": 3,
    "importMode": "UPDATE",
    "added": 1,
    "updated": 1,
    "deleted": 0,
    "notTaken": 1,
    "errors": [{"line": 4, "code": "no_number", "reason": "There is no phone number."}],
    "createdAt": "2026-01-31T12:00:00.000Z",
    "finishedAt": "2026-01-31T12:00:01.000Z",
}
_FORBIDDEN: Final = "The role may not manage contacts (1003)."
_TYPE: Final = "The body is no multipart/form-data (4041)."
_FILE: Final = (
    "The file is neither CSV nor XLSX, or is damaged (2011); it is too large (2012); its columns are not "
    "matched (2013); or a field is wrong (4000)."
)


class PreviewView(OrganizationView):
    right = Right.MANAGE_CONTACTS
    parser_classes = [FileParser]

    @extend_schema(
        operation_id="previewImport",
        summary="Look at a file of contacts",
        description=(
            "Reads the whole file and keeps nothing of it. Delimiter, encoding and what the columns hold are "
            "found out."
        ),
        request={"multipart/form-data": PreviewRequest},
        responses={
            200: PreviewSerializer,
            **refusals(400, 401, 403, 415, 429, _400=_FILE, _403=_FORBIDDEN, _415=_TYPE),
        },
        examples=[
            OpenApiExample("A file", _PREVIEW, response_only=True, status_codes=["200"]),
        ],
        tags=["contacts"],
    )
    def post(self, request: Request) -> Response:
        fields = validated(request, PreviewRequest)
        preview = jobs.preview(file=fields["file"].file)
        return Response(
            {
                "headers": preview.headers,
                "sampleData": preview.sample,
                "availableFields": list(FIELDS),
                "totalRows": preview.total,
                "fieldMapping": preview.mapping,
            }
        )


class ImportView(OrganizationView):
    right = Right.MANAGE_CONTACTS
    parser_classes = [FileParser]

    @extend_schema(
        operation_id="importContacts",
        summary="Import contacts from a file",
        description=(
            "Keeps the file's rows and answers; workers bring them in. Of two rows with one number the first "
            "is taken. Follow it at …/status."
        ),
        request={"multipart/form-data": ImportRequest},
        responses={
            201: StartedSerializer,
            **refusals(
                400,
                401,
                403,
                404,
                409,
                415,
                429,
                _400=_FILE,
                _403=_FORBIDDEN,
                _404="Your organization has no such tag (1005).",
                _409="Another import of your organization is running (2014).",
                _415=_TYPE,
            ),
        },
        examples=[
            OpenApiExample("Begun", {"jobId": _JOB}, response_only=True, status_codes=["201"])
        ],
        tags=["contacts"],
    )
    def post(self, request: Request) -> Response:
        fields = validated(request, ImportRequest)
        job = jobs.start(
            member=member_of(request),
            file=fields["file"].file,
            file_name=fields["file"].name,
            field_mapping=_given(fields.get("fieldMapping")),
            tag_ids=fields.get("tagIds", ()),
            mode=fields["importMode"],
            address=address_of(request),
        )
        tasks.try_waking(job.pk)
        return Response({"jobId": job.pk}, status=201)


def _given(mapping: dict[str, str | None] | None) -> dict[str, str] | None:
    if mapping is None:
        return None
    return {field: header for field, header in mapping.items() if header}


class _JobView(OrganizationView):
    right = Right.READ

    def job(self, request: Request, job_id: UUID) -> ImportJob:
        return get_object_or_404(for_org(request, ImportJob), pk=job_id)


class StatusView(_JobView):
    @extend_schema(
        operation_id="getImport",
        summary="Follow an import",
        responses={200: ImportSerializer, **refusals(401, 403, 404, 429)},
        examples=[OpenApiExample("Completed", _STATUS, response_only=True)],
        tags=["contacts"],
    )
    def get(self, request: Request, job_id: UUID) -> Response:
        job = self.job(request, job_id)
        context: dict[str, Any] = {"errors": reports.first(job=job)}
        return Response(ImportSerializer(job, context=context).data)


class ErrorsView(_JobView):
    @extend_schema(
        operation_id="exportImportErrors",
        summary="Every row that became no contact",
        description="Streams line, code and reason as CSV, in the order of the file.",
        responses={
            **csv_rows.documented("One line a row."),
            **refusals(401, 403, 404, 429),
        },
        tags=["contacts"],
    )
    def get(self, request: Request, job_id: UUID) -> StreamingHttpResponse:
        job = self.job(request, job_id)
        return csv_rows.answer(reports.file_name(job=job), reports.HEADER, reports.pages(job=job))
