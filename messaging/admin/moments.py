"""When a broadcast goes out: a moment in the time zone of whoever writes it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminTextInputWidget


class LocalMoment(UnfoldAdminTextInputWidget):
    """The browser's own way to choose a day and a time."""

    input_type = "datetime-local"


class LocalMomentField(forms.Field):
    """A day and a time as a clock on the wall shows them, of whatever time zone."""

    widget = LocalMoment

    def to_python(self, value: Any) -> datetime | None:
        written = str(value or "").strip()
        if not written:
            return None
        try:
            return datetime.fromisoformat(written).replace(tzinfo=None, second=0, microsecond=0)
        except ValueError as error:
            raise forms.ValidationError(_("Give a day and a time, as 2026-12-24 18:30.")) from error


class MomentForm(forms.Form):
    """A moment, and the time zone it is meant in: the browser's, and without scripts the site's."""

    moment = LocalMomentField(label=gettext_lazy("Day and time"), required=False)
    time_zone = forms.CharField(
        label=gettext_lazy("Time zone"),
        required=False,
        max_length=64,
        help_text=gettext_lazy("The moment above is meant in this time zone, as America/Bogota."),
        widget=UnfoldAdminTextInputWidget(attrs={"data-desk": "time-zone"}),
    )

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["time_zone"].initial = settings.TIME_ZONE

    def clean_time_zone(self) -> str:
        name: str = self.cleaned_data["time_zone"].strip() or settings.TIME_ZONE
        zone_of(name)
        return name

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        cleaned["scheduled_at"] = None
        if self.errors or not self.is_moment_asked():
            return cleaned
        moment = cleaned.get("moment")
        if moment is None:
            self.add_error("moment", _("Give the day and the time."))
            return cleaned
        try:
            cleaned["scheduled_at"] = in_zone(moment, cleaned["time_zone"])
        except forms.ValidationError as error:
            self.add_error("moment", error)
        return cleaned

    def is_moment_asked(self) -> bool:
        """Return whether a moment has to be given."""
        return True


def zone_of(name: str) -> ZoneInfo:
    """Return the time zone of this name.

    Raises: ValidationError.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise forms.ValidationError(
            _("There is no time zone %(name)s. Write one as America/Bogota.") % {"name": name}
        ) from error


def in_zone(moment: datetime, name: str) -> datetime:
    """Return the moment that a clock in this zone shows so; of two, in autumn, the first.

    Raises: ValidationError where no clock ever shows it, in spring.
    """
    zone = zone_of(name)
    try:
        at = moment.replace(tzinfo=zone).astimezone(UTC)
    except OverflowError as error:
        raise forms.ValidationError(_("Give a moment of the next 90 days.")) from error
    if at.astimezone(zone).replace(tzinfo=None) != moment:
        raise forms.ValidationError(
            _("Clocks in %(zone)s are put forward over this time. Give another one.")
            % {"zone": name}
        )
    return at


def in_words(at: datetime, name: str) -> str:
    """Return the moment as a clock in the zone shows it, with the zone."""
    local = at.astimezone(zone_of(name))
    return f"{local:%Y-%m-%d %H:%M} {name} (UTC{local:%z})"
