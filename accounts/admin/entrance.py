"""The admin's entrance: signing in, the own password, the terms, and pages that refuse in words."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final, cast

from django.contrib import admin, messages
from django.contrib.admin.views.autocomplete import AutocompleteJsonView
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import PermissionDenied
from django.db.models import Field
from django.dispatch import receiver
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext as _

from accounts import admin_forms, audit
from accounts.admin import terms
from accounts.doors.addresses import address_of
from accounts.doors.organization import member_of
from accounts.models import Member

_OPEN_WITH_A_ONE_TIME_PASSWORD: Final = frozenset(
    {"index", "jsi18n", "logout", "password_change", "password_change_done"}
)


@receiver(user_logged_in, dispatch_uid="accounts.admin.signed_in")
def signed_in(sender: Any, request: HttpRequest, user: Any, **_options: Any) -> None:  # noqa: ARG001 - the signal's signature
    """Record the sign-in at the admin."""
    if not isinstance(user, Member):
        return
    audit.record(
        act="session.began",
        subject=user,
        member=user,
        details={"door": "admin"},
        address=address_of(request),
    )


def _password_change(request: HttpRequest) -> HttpResponse:
    return admin_forms.password_change(request, **admin.site.each_context(request))


def _extra_urls() -> list[Any]:
    return [
        path("password_change/", admin.site.admin_view(_password_change), name="password_change"),
        path("terms/", admin.site.admin_view(terms.show_current), name="current_terms"),
    ]


View = Callable[..., HttpResponse]


def _in_words(admin_view: Callable[..., View]) -> Callable[..., View]:
    """Return the site's `admin_view` whose pages say why they are not shown, and what to do."""

    def made(view: View, cacheable: bool = False) -> View:  # noqa: FBT001, FBT002 - Django's signature
        inner = admin_view(view, cacheable)

        @wraps(inner)
        def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
            if not admin.site.has_permission(request):
                return inner(request, *args, **kwargs)  # leads to the sign-in
            if _must_change_password(request):
                messages.warning(
                    request,
                    _(
                        "You signed in with a one-time password. Change it here first; "
                        "then every page is open to you."
                    ),
                )
                return redirect("admin:password_change")
            try:
                return inner(request, *args, **kwargs)
            except PermissionDenied:
                return _refusal(
                    request,
                    status=403,
                    title=_("You may not do this"),
                    text=_("Nobody does this here, or only a member of the organization.")
                    if member_of(request).is_superuser
                    else _("Your role does not include it. Ask an owner of your organization."),
                )
            except Http404:
                return _refusal(
                    request,
                    status=404,
                    title=_("There is no such page"),
                    text=_("The address is wrong, or what it showed is gone."),
                )

        return shown

    return made


def _must_change_password(request: HttpRequest) -> bool:
    name = request.resolver_match.url_name if request.resolver_match else ""
    if name in _OPEN_WITH_A_ONE_TIME_PASSWORD:
        return False
    return isinstance(request.user, Member) and request.user.has_one_time_password


def _refusal(request: HttpRequest, *, status: int, title: str, text: str) -> HttpResponse:
    context = {**admin.site.each_context(request), "title": title, "text": text}
    return TemplateResponse(request, "admin/refusal.html", context, status=status)


class Completion(AutocompleteJsonView):
    """Django's completion of related rows, refused where the field leads from another row to this one."""

    def process_request(self, request: HttpRequest) -> Any:
        found = super().process_request(request)
        if not isinstance(found[2], Field):  # Django answers 500 to these
            raise PermissionDenied
        return found


def _complete(request: HttpRequest) -> HttpResponseBase:
    return Completion.as_view(admin_site=admin.site)(request)


_site = cast("Any", admin.site)
_site.autocomplete_view = _complete
# The site's own page would store the password without the verb, and so without its audit entry.
_site.extra_urls = _extra_urls
_site.admin_view = _in_words(_site.admin_view)
