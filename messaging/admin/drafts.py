"""Drafts of broadcasts: what a member wrote and to whom, kept in the session until it is sent.

Kept there and not in the pages: so each page has an address, and going back or reloading sends nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, QueryDict
from django.urls import reverse
from django.utils.translation import gettext as _

from contacts.models import Contact
from messaging.audiences import Audience, Chosen, Everyone

MOST_CHOSEN: Final = 100
"""Contacts that are chosen one by one; more are chosen by a filter."""

_KEPT: Final = 5  # drafts of one session, the newest
_KEY: Final = "messaging.drafts"
_OF_THE_LIST_ALONE: Final = ("p", "o", "e", "all", "_facets", "_changelist_filters")


class NotChosen(Exception):
    """Nobody can tell from this whom the broadcast is for."""


class DraftGone(Exception):
    """The session has no such draft, or none any more."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Whom a draft is for: some contacts, all of a filter of their list, or with neither everybody."""

    contacts: tuple[str, ...] = ()
    filtered: str = ""  # the query string of the contacts' list

    @classmethod
    def of(cls, query: QueryDict) -> Choice:
        """Return the choice that a page's address carries.

        Raises: NotChosen.
        """
        written = [one for one in query.get("contacts", "").split(",") if one]
        try:
            contacts = tuple(UUID(one).hex for one in written)
        except ValueError as error:
            raise NotChosen(_("This address names no contacts. Choose them again.")) from error
        if len(contacts) > MOST_CHOSEN:
            raise NotChosen(
                _("At most %(most)d contacts are chosen one by one. Use a filter for more.")
                % {"most": MOST_CHOSEN}
            )
        return cls(contacts, "" if contacts else _cleaned(query.get("filter", "")))

    @classmethod
    def of_filter(cls, query: QueryDict) -> Choice:
        """Return everybody whom the contacts' list shows at this address, on all its pages."""
        return cls(filtered=_cleaned(query.urlencode()))

    @property
    def query(self) -> str:
        """The choice as a page's address carries it."""
        address = QueryDict(mutable=True)
        if self.contacts:
            address["contacts"] = ",".join(self.contacts)
        elif self.filtered:
            address["filter"] = self.filtered
        return address.urlencode()

    @property
    def is_everybody(self) -> bool:
        return not self.contacts and not self.filtered

    @property
    def list_address(self) -> str:
        """The contacts' list that shows them; those chosen one by one have none."""
        address = reverse("admin:contacts_contact_changelist")
        return f"{address}?{self.filtered}" if self.filtered else address

    def audience(self, request: HttpRequest) -> Audience:
        """Return the audience, of the organization of who is asking.

        Raises: NotChosen where the list has no such filter.
        """
        if self.is_everybody:
            return Everyone()
        if self.contacts:
            rows = Contact.objects.filter(pk__in=sorted(self.contacts))
            return Chosen(contacts=rows)
        return Chosen(contacts=Contact.objects.filter(pk__in=_listed(request, self.filtered)))


def _cleaned(query: str) -> str:
    """Return the query string without what says only how the list is shown."""
    address = QueryDict(query, mutable=True)
    for name in _OF_THE_LIST_ALONE:
        address.pop(name, None)
    for name in [name for name, values in address.lists() if not any(values)]:
        del address[name]
    return address.urlencode()


def _listed(request: HttpRequest, query: str) -> Any:
    """Return the keys of all contacts that the admin's own list shows at this address."""
    asked = copy(request)
    asked.method = "GET"
    asked.GET = QueryDict(query)
    pages = admin.site.get_model_admin(Contact)
    try:
        listed = pages.get_changelist_instance(asked)
    except (IncorrectLookupParameters, SuspiciousOperation) as error:
        raise NotChosen(
            _("The contacts' list has no such filter. Choose the contacts again.")
        ) from error
    return listed.queryset.order_by().values("pk")


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a member is about to send."""

    id: str
    choice: Choice
    text: str
    kind: str
    country: str
    scheduled_at: datetime | None
    time_zone: str
    queue_id: str = ""  # of the broadcast that it became

    @classmethod
    def new(cls, **fields: Any) -> Draft:
        return cls(id=uuid4().hex, **fields)

    def keep(self, request: HttpRequest) -> None:
        """Keep the draft in the session, and no more than the newest few."""
        drafts = {**request.session.get(_KEY, {})}
        drafts.pop(self.id, None)
        drafts[self.id] = {
            **asdict(self),
            "scheduled_at": self.scheduled_at.isoformat() if self.scheduled_at else "",
        }
        request.session[_KEY] = dict(list(drafts.items())[-_KEPT:])

    def became(self, request: HttpRequest, queue_id: UUID) -> None:
        """Keep that the draft was sent: its pages lead to the broadcast from now on."""
        replace(self, queue_id=str(queue_id)).keep(request)

    def ordered(self, request: HttpRequest) -> Mapping[str, Any]:
        """Return what the draft orders, as `estimate` and `send` take it alike.

        Raises: NotChosen.
        """
        return {
            "audience": self.choice.audience(request),
            "text": self.text,
            "kind": self.kind,
            "country": self.country,
            "scheduled_at": self.scheduled_at,
        }


def kept(request: HttpRequest, draft_id: str) -> Draft:
    """Return the draft of this session.

    Raises: DraftGone.
    """
    fields = request.session.get(_KEY, {}).get(draft_id)
    if fields is None:
        raise DraftGone(
            _(
                "This draft is no longer here: it was kept until you signed out, and only the last"
                " few are. Write it again. If you sent it, the list of broadcasts has it."
            )
        )
    choice = Choice(tuple(fields["choice"]["contacts"]), fields["choice"]["filtered"])
    moment = fields["scheduled_at"]
    return Draft(
        **{
            **fields,
            "choice": choice,
            "scheduled_at": datetime.fromisoformat(moment) if moment else None,
        }
    )
