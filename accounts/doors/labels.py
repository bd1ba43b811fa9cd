"""What columns of the admin show besides plain text: labels on a colour, moments to the second."""

from __future__ import annotations

from datetime import datetime

from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString


def label(text: str, color: str) -> SafeString:
    """Return the text on a coloured ground, escaped. Unlike unfold's own, it shows on a row's page too."""
    return render_to_string("unfold/helpers/label.html", {"text": text, "type": color})


def second(at: datetime) -> SafeString:
    """Return a moment in ISO 8601 to the second, in the site's time zone: short, and read in one way."""
    local = timezone.localtime(at)
    return format_html(
        '<time class="pregon-time" datetime="{}">{}</time>',
        at.isoformat(),
        f"{local:%Y-%m-%d %H:%M:%S}",
    )
