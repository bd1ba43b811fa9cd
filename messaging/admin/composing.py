"""Composing a broadcast: the text with its count as one types, type, country, when, and for whom."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_GET
from unfold.widgets import (
    UnfoldAdminRadioSelectWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from accounts import roles, terms
from accounts.doors.organization import member_of
from contacts import phone_numbers, tags
from messaging import estimates, orders, sms_text
from messaging.admin import moments
from messaging.admin.drafts import Choice, Draft, DraftGone, NotChosen, kept
from messaging.admin.labels import number
from messaging.models import Broadcast, Kind

ALPHABET: Final = {"basic": sms_text.BASIC, "extension": sms_text.EXTENSION}
"""What the browser counts with; see config/static/pregon/sms_text.js."""

LONGEST: Final = 10_000  # characters that are read; how many can be sent is the providers' affair

_NOW, _LATER = "now", "later"
_ONE_SEGMENT: Final = "a"

# The field that each refusal of an order is about.
_FIELDS: Final[dict[type[Exception], str]] = {
    orders.TextNotAllowed: "text",
    orders.TextTooLong: "text",
    orders.KindNotCarried: "kind",
    orders.CountryNotAllowed: "country",
    orders.MomentNotAllowed: "moment",
}
REFUSALS: Final[tuple[type[Exception], ...]] = (
    *_FIELDS,
    orders.AudienceTooLarge,
    orders.ContactsKeepChanging,
    tags.TagNotFound,
)
"""What an order may be refused for, each with a sentence for people."""

_NOBODY_COUNTED: Final[tuple[type[Exception], ...]] = (*REFUSALS, phone_numbers.UnsupportedCountry)

View = Callable[..., HttpResponse]


class ComposeForm(moments.MomentForm):
    """What is sent, and when."""

    text = forms.CharField(
        label=gettext_lazy("Text"),
        strip=False,
        max_length=LONGEST,
        widget=UnfoldAdminTextareaWidget(
            attrs={
                "rows": 6,
                "data-desk": "text",
                "data-alphabet": json.dumps(ALPHABET),
                "aria-describedby": "text-count",
                "autofocus": True,
            }
        ),
    )
    kind = forms.ChoiceField(
        label=gettext_lazy("Type"), choices=Kind.choices, widget=UnfoldAdminSelectWidget
    )
    country = forms.CharField(
        label=gettext_lazy("Country of national numbers"),
        required=False,
        max_length=8,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )
    when = forms.ChoiceField(
        label=gettext_lazy("When"),
        choices=[(_NOW, gettext_lazy("Now")), (_LATER, gettext_lazy("Later"))],
        widget=UnfoldAdminRadioSelectWidget(attrs={"data-desk": "when"}),
    )
    field_order = ("text", "kind", "country", "when", "moment", "time_zone")

    def __init__(self, *args: Any, own_country: str, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["country"].help_text = (
            _("Two letters, as CO, or a calling code, as 57. Empty: %(own)s, your organization's.")
            % {"own": own_country}
            if own_country
            else _(
                "Two letters, as CO, or a calling code, as 57. Without it, national numbers are skipped."
            )
        )

    def is_moment_asked(self) -> bool:
        return self.cleaned_data.get("when") == _LATER

    def clean_text(self) -> str:
        # Browsers send two characters for the one that the field shows, counts and means.
        text: str = self.cleaned_data["text"].replace("\r\n", "\n")
        return text

    def clean_country(self) -> str:
        given: str = self.cleaned_data["country"].strip()
        if not given:
            return ""
        try:
            return phone_numbers.country_of(given)
        except phone_numbers.UnsupportedCountry as error:
            raise forms.ValidationError(
                _("This is no country. Give two letters, as CO, or a calling code, as 57.")
            ) from error


def for_senders(view: View) -> View:
    """Show the page to who may send now; all others are told what is in the way and what to do."""

    @wraps(view)
    def shown(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            orders.require_may_send(member_of(request))
            return view(request, *args, **kwargs)
        except roles.RoleMissing as refusal:
            return page(request, "cannot", status=403, title=_("You cannot send"), refusal=refusal)
        except terms.TermsNotAccepted as refusal:
            return page(
                request,
                "cannot",
                status=403,
                title=_("You cannot send yet"),
                refusal=refusal,
                terms_in_force=terms.current(),
            )
        except (DraftGone, NotChosen) as refusal:
            return page(
                request,
                "cannot",
                status=404,
                title=_("There is no such draft"),
                refusal=refusal,
                may_compose=True,
            )

    return shown


def page(
    request: HttpRequest, name: str, *, status: int = 200, title: str, **context: Any
) -> HttpResponse:
    """Return one of the pages of broadcasting."""
    return TemplateResponse(
        request,
        f"admin/messaging/broadcast/{name}.html",
        {
            **admin.site.each_context(request),
            "title": title,
            "opts": Broadcast._meta,
            **context,
        },
        status=status,
    )


@for_senders
def compose(request: HttpRequest) -> HttpResponse:
    """Ask what is sent; by POST keep it as a draft and go on to its preview."""
    draft = kept(request, request.GET["draft"]) if "draft" in request.GET else None
    choice = draft.choice if draft else Choice.of(request.GET)
    if draft is not None and draft.queue_id:
        draft = None  # what was sent is no draft any more: its text may begin another
    if request.method != "POST":
        return _composing(request, choice, _form(request, initial=_initial(request)))
    form = _form(request, data=request.POST)
    if not form.is_valid() or not _orderly(request, choice, form):
        return _composing(request, choice, form)
    fields = {
        name: form.cleaned_data[name]
        for name in ("text", "kind", "country", "scheduled_at", "time_zone")
    }
    new = replace(draft, **fields) if draft else Draft.new(choice=choice, **fields)
    new.keep(request)
    return redirect("admin:messaging_broadcast_preview", new.id)


def _orderly(request: HttpRequest, choice: Choice, form: ComposeForm) -> bool:
    """Return whether the order can be read as it is; else the field that is wrong says so."""
    member = member_of(request)
    try:
        orders.read(
            member=member,
            organization=orders.require_may_send(member),
            audience=choice.audience(request),
            **{
                name: form.cleaned_data[name]
                for name in ("text", "kind", "country", "scheduled_at")
            },
        )
    except REFUSALS as refusal:
        form.add_error(_FIELDS.get(type(refusal)), str(refusal))
        return False
    return True


def _form(request: HttpRequest, **options: Any) -> ComposeForm:
    organization = member_of(request).organization
    return ComposeForm(own_country=organization.country if organization else "", **options)


def _initial(request: HttpRequest) -> dict[str, Any]:
    """Return what the form begins with: the draft that is changed, or nothing yet."""
    if "draft" not in request.GET:
        return {"kind": Kind.SMS, "when": _NOW}
    draft = kept(request, request.GET["draft"])
    given: dict[str, Any] = {
        "text": draft.text,
        "kind": draft.kind,
        "country": draft.country,
        "when": _LATER if draft.scheduled_at else _NOW,
        "time_zone": draft.time_zone,
    }
    if draft.scheduled_at:
        local = draft.scheduled_at.astimezone(moments.zone_of(draft.time_zone))
        given["moment"] = f"{local:%Y-%m-%dT%H:%M}"
    return given


def _composing(request: HttpRequest, choice: Choice, form: ComposeForm) -> HttpResponse:
    return page(
        request,
        "compose",
        title=_("Write a broadcast"),
        form=form,
        choice=choice,
        chosen=number(len(choice.contacts)),
    )


@require_GET
@for_senders
def show_audience(request: HttpRequest) -> HttpResponse:
    """Show how many of the chosen a text would reach now, and what a segment to all of them costs."""
    choice = Choice.of(request.GET)
    country = request.GET.get("country", "").strip()
    kind = request.GET.get("kind", Kind.SMS)
    try:
        estimate = estimates.estimate(
            member=member_of(request),
            audience=choice.audience(request),
            text=_ONE_SEGMENT,
            kind=kind if kind in Kind else Kind.SMS,
            country=phone_numbers.country_of(country) if country else "",
        )
    except _NOBODY_COUNTED as refusal:
        return page(request, "audience", title="", refusal=refusal)
    return page(
        request,
        "audience",
        title="",
        recipients=number(estimate.recipients),
        recipients_count=estimate.recipients,
        skipped=number(sum(estimate.skipped.values())),
        skipped_count=sum(estimate.skipped.values()),
        credits_a_segment=estimate.credits,
        balance=estimate.balance,
        balance_in_words=number(estimate.balance),
    )


def told_of(request: HttpRequest, refusal: Exception) -> None:
    """Show a refusal on the page that comes next."""
    messages.error(request, str(refusal))
