"""Countries by their two letters: which there are, and what is told where one is none."""

from __future__ import annotations

from django.utils.translation import gettext
from phonenumbers import SUPPORTED_REGIONS


def is_country(code: str) -> bool:
    """Return whether these are the two capital letters of a country that has phone numbers."""
    return code in SUPPORTED_REGIONS


def no_such(*codes: str) -> str:
    """Return what whoever wrote these is told."""
    return gettext("No such country: %(codes)s. Write two letters, as CO.") % {
        "codes": ", ".join(codes)
    }
