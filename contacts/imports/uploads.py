"""Reading a request that brings a file: to the disk, and never more than an import takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any, cast

from django.core.exceptions import SuspiciousOperation
from django.core.files.uploadhandler import TemporaryFileUploadHandler
from django.http import UnreadablePostError
from django.http.multipartparser import MultiPartParser, MultiPartParserError
from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, DataAndFiles
from rest_framework.request import Request

from contacts.imports.limits import AROUND, LARGEST_FILE, too_large


class FileParser(BaseParser):
    """Reads a form with a file, which goes to the disk piece by piece.

    400: no such form, or larger than a file may be, which is told before anything is read.
    """

    media_type = "multipart/form-data"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 - the framework's signature
        parser_context: Mapping[str, Any] | None = None,
    ) -> DataAndFiles[Any, Any]:
        request: Request = (parser_context or {})["request"]
        length = request.META.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or not int(length):
            raise ParseError(_("Say how long the request is: it lacks the header Content-Length."))
        if int(length) > LARGEST_FILE + AROUND:
            raise too_large()
        handlers = [TemporaryFileUploadHandler(request._request)]
        try:
            form = MultiPartParser(request.META, cast("Any", stream), handlers, "utf-8")
            fields, files = form.parse()
        except (
            MultiPartParserError,
            SuspiciousOperation,  # more fields or files than anybody's form has
            UnreadablePostError,  # broken off
            ValueError,
        ) as error:
            raise ParseError(
                _("The form cannot be read. Send multipart/form-data with one file, as `file`.")
            ) from error
        return DataAndFiles(fields, files)
