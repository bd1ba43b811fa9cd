"""The admin's pages of imports: choose a file, match its columns, watch it come in, read the report."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.formats import number_format
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminSelectWidget

from accounts import roles
from accounts.doors import csv_rows
from accounts.doors.addresses import address_of
from accounts.doors.admin import Evidence, OrganizationAdmin, OwnAutocompleteFilter
from accounts.doors.labels import label
from accounts.doors.organization import member_of
from contacts import tags, tasks
from contacts.import_rows import ImportJob
from contacts.imports import jobs, mapping, reports
from contacts.imports.limits import MOST_COLUMNS, FileTooLarge, FormatNotRead
from contacts.models import Tag

EVERY: Final = 2  # seconds between two looks at an import that runs
_COLORS: Final = {
    ImportJob.Status.PROCESSING: "info",
    ImportJob.Status.COMPLETED: "success",
    ImportJob.Status.ERROR: "danger",
}
_FIELDS: Final = {
    "phone": _("number"),
    "countryCode": _("calling code"),
    "country": _("country"),
    "name": _("name"),
    "lastName": _("last name"),
    "email": _("e-mail"),
    "birthDate": _("date of birth"),
    "status": _("status"),
    "tags": _("tags"),
}
REFUSALS: Final = (
    FormatNotRead,
    FileTooLarge,
    mapping.MappingNotUsable,
    jobs.ImportRunning,
    jobs.ImportsBusy,
    tags.TagNotFound,
)


class ImportForm(forms.Form):
    """The file and what is to be done with it; the columns come with the file's preview."""

    file = forms.FileField(
        label=_("File"),
        allow_empty_file=True,  # what is wrong with it is said in one place
        help_text=_(
            "CSV or XLSX, its first row naming the columns. At most 128 MB, a million rows."
        ),
    )
    mode = forms.ChoiceField(
        label=_("Known numbers"),
        choices=ImportJob.Mode.choices,
        initial=ImportJob.Mode.UPDATE,
        widget=UnfoldAdminSelectWidget,
    )
    replaces = forms.BooleanField(
        label=_("Yes, delete all contacts that are there now"),
        required=False,
        help_text=_("Asked only for replacing all contacts. Their messages and opt-outs stay."),
    )
    tag = forms.ModelChoiceField(
        Tag.objects.none(),
        label=_("Tag for all of them"),
        required=False,
        empty_label=_("None"),
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, own_tags: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choice = self.fields["tag"]
        assert isinstance(choice, forms.ModelChoiceField)  # noqa: S101 - as declared above
        choice.queryset = own_tags

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("mode") == ImportJob.Mode.DELETE_ALL and not cleaned.get("replaces"):
            self.add_error("replaces", _("Tick this to replace all contacts by the file's."))
        return cleaned

    def columns(self) -> dict[str, str] | None:
        """Return the mapping as it was confirmed; None where the page showed no columns."""
        if "header-0" not in self.data:
            return None
        chosen = {}
        for position in range(MOST_COLUMNS):
            field = self.data.get(f"field-{position}", "")
            header = self.data.get(f"header-{position}", "")
            if field and field in chosen:
                raise mapping.MappingNotUsable(
                    gettext("Two columns are matched as %(field)s. Match it once.")
                    % {"field": _FIELDS.get(field, field)}
                )
            if field:
                chosen[field] = header
        return chosen


def may_import(request: HttpRequest) -> bool:
    """Return whether who is signed in may bring contacts in."""
    return roles.may(member_of(request), roles.Right.MANAGE_CONTACTS)


def _number(amount: int) -> str:
    return number_format(amount, force_grouping=True)


@admin.register(ImportJob)
class ImportJobAdmin(Evidence, OrganizationAdmin):
    """Files that were brought in: read-only but for the next one."""

    empty_text = _("No file was imported yet. CSV and Excel files are taken.")

    list_display = ("created_at", "organization", "file_name", "mode", "standing", "rows", "member")
    list_display_links = ("created_at", "file_name")
    list_filter = (
        ("organization", OwnAutocompleteFilter),
        ("status", ChoicesDropdownFilter),
        ("mode", ChoicesDropdownFilter),
    )
    list_select_related = ("organization", "member")
    ordering = ("-created_at", "-id")
    sortable_by = ()
    fields = ("file_name", "organization", "member", "mode", "created_at", "finished_at")
    change_form_outer_before_template = "admin/contacts/importjob/outcome.html"
    actions_list = ("upload",)
    warn_unsaved_form = False

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        own = [
            path(
                "upload/columns/",
                wrap(require_POST(self.columns)),
                name="contacts_importjob_columns",
            ),
            path("<uuid:job_id>/live/", wrap(self.live), name="contacts_importjob_live"),
            path("<uuid:job_id>/report/", wrap(self.report), name="contacts_importjob_report"),
        ]
        return [*own, *super().get_urls()]

    def has_upload_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - unfold's signature
        return may_import(request)

    @display(description=_("status"))
    def standing(self, job: ImportJob) -> SafeString:
        return label(job.get_status_display(), _COLORS[ImportJob.Status(job.status)])

    @display(description=_("rows"))
    def rows(self, job: ImportJob) -> str:
        return f"{_number(job.done)} / {_number(job.total)}"

    @action(
        description=_("Import a file"),
        permissions=["upload"],
        url_path="upload",
        icon="upload_file",
    )
    def upload(self, request: HttpRequest) -> HttpResponse:
        """Ask for a file and what to do with it, and bring it in."""
        own_tags = Tag.objects.filter(organization=member_of(request).organization_id)
        own_tags = own_tags.order_by("name")
        if request.method != "POST":
            return self._page(request, ImportForm(own_tags=own_tags))
        form = ImportForm(request.POST, request.FILES, own_tags=own_tags)
        if not form.is_valid():
            return self._page(request, form)
        given, tag = form.cleaned_data, form.cleaned_data["tag"]
        try:
            job = jobs.start(
                member=member_of(request),
                file=given["file"].file,
                file_name=given["file"].name,
                field_mapping=form.columns(),
                tag_ids=[tag.pk] if tag else [],
                mode=given["mode"],
                address=address_of(request),
            )
        except REFUSALS as error:
            form.add_error(None, str(error))
            return self._page(request, form)
        tasks.try_waking(job.pk)
        return redirect("admin:contacts_importjob_change", job.pk)

    def columns(self, request: HttpRequest) -> HttpResponse:
        """Show the first rows of the file that was chosen, and what each column seems to be."""
        if not may_import(request):
            raise PermissionDenied
        context: dict[str, Any] = {"fields": _FIELDS.items()}
        if (file := request.FILES.get("file")) is not None and file.file is not None:
            try:
                preview = jobs.preview(file=file.file)
            except REFUSALS as error:
                context["refusal"] = str(error)
            else:
                guessed = {header: field for field, header in preview.mapping.items()}
                context["preview"] = preview
                context["columns"] = [
                    (header, guessed.get(header, "")) for header in preview.headers
                ]
        return TemplateResponse(request, "admin/contacts/importjob/columns.html", context)

    def live(self, request: HttpRequest, job_id: Any) -> HttpResponse:
        """Answer how the import stands now, to be asked again while it runs."""
        return HttpResponse(self._outcome(request, self._job(request, job_id)))

    def report(self, request: HttpRequest, job_id: Any) -> HttpResponseBase:
        """Stream every row that was not taken, as CSV."""
        job = self._job(request, job_id)
        return csv_rows.answer(reports.file_name(job=job), reports.HEADER, reports.pages(job=job))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        job = self.get_object(request, object_id)
        outcome = self._outcome(request, job) if job is not None else ""
        response: HttpResponse = super().change_view(
            request, object_id, form_url, {**(extra_context or {}), "outcome": outcome}
        )
        return response

    def _job(self, request: HttpRequest, job_id: Any) -> ImportJob:
        job = self.get_object(request, str(job_id))
        if not isinstance(job, ImportJob) or not self.has_view_permission(request, job):
            raise Http404
        return job

    def _outcome(self, request: HttpRequest, job: ImportJob) -> SafeString:
        is_running = job.status == ImportJob.Status.PROCESSING
        return render_to_string(
            "admin/contacts/importjob/standing.html",
            {
                "job": job,
                "label": self.standing(job),
                "percent": 100 * job.done // job.total if job.total else 100,
                "every": EVERY if is_running else 0,
                "address": reverse("admin:contacts_importjob_live", args=[job.pk]),
                "errors": reports.first(job=job),
                "report": reverse("admin:contacts_importjob_report", args=[job.pk]),
                "figures": [
                    (_("Dealt with"), self.rows(job)),
                    (_("Contacts added"), _number(job.added)),
                    (_("Contacts known before"), _number(job.updated)),
                    (_("Contacts deleted"), _number(job.deleted)),
                    (_("Rows not taken"), _number(job.not_taken)),
                ],
            },
            request,
        )

    def _page(self, request: HttpRequest, form: ImportForm) -> HttpResponse:
        return TemplateResponse(
            request,
            "admin/contacts/importjob/upload.html",
            {
                **self.admin_site.each_context(request),
                "title": _("Import contacts"),
                "opts": self.opts,
                "media": self.media + form.media,
                "form": form,
            },
        )
