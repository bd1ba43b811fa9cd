"""The addresses of contacts, tags and opt-outs, below /api/."""

from django.urls import path

from contacts.views import directory, importing, suppressions, tags

urlpatterns = [
    path("contacts", directory.ContactsView.as_view(), name="contacts"),
    path("contacts/count", directory.ContactTotalView.as_view(), name="contacts-count"),
    path("contacts/export", directory.ContactExportView.as_view(), name="contacts-export"),
    path("contacts/<uuid:contact_id>", directory.OneContactView.as_view(), name="contact"),
    path("contacts/import", importing.ImportView.as_view(), name="import"),
    path("contacts/import/preview", importing.PreviewView.as_view(), name="import-preview"),
    path(
        "contacts/import/<uuid:job_id>/status", importing.StatusView.as_view(), name="import-status"
    ),
    path(
        "contacts/import/<uuid:job_id>/errors", importing.ErrorsView.as_view(), name="import-errors"
    ),
    path("tags", tags.TagsView.as_view(), name="tags"),
    path("tags/with-counts", tags.CountedTagsView.as_view(), name="tags-with-counts"),
    path("tags/<uuid:tag_id>", tags.OneTagView.as_view(), name="tag"),
    path("suppressions", suppressions.SuppressionsView.as_view(), name="suppressions"),
    path(
        "suppressions/<uuid:suppression_id>",
        suppressions.OneSuppressionView.as_view(),
        name="suppression",
    ),
]
