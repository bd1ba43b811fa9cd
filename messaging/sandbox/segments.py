"""How many SMS parts a text takes: the carrier's own count, apart from the site's."""

from functools import lru_cache
from typing import Final

_GSM_7: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_7_EXTENSION: Final = frozenset("^{}\\[~]|€\f")


@lru_cache(maxsize=64)
def segments(text: str) -> int:
    """Return how many SMS parts the text takes (3GPP 23.038).

    A character of two units is never split over two parts.
    """
    if set(text) <= _GSM_7 | _GSM_7_EXTENSION:
        sizes, alone, part = [1 + (c in _GSM_7_EXTENSION) for c in text], 160, 153
    else:
        sizes, alone, part = [1 + (ord(c) > 0xFFFF) for c in text], 70, 67
    if sum(sizes) <= alone:
        return 1
    count, used = 1, 0
    for size in sizes:
        if used + size > part:
            count, used = count + 1, 0
        used += size
    return count


@lru_cache(maxsize=64)
def utf_16_units(text: str) -> int:
    """Return the text's length as carriers count it."""
    return len(text) + sum(character > "\uffff" for character in text)
