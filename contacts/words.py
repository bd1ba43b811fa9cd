"""Words of names: how they are indexed and how they are looked up, without accents."""

from __future__ import annotations

from typing import Final

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db.models import F, Func, TextField, Value

_ACCENTED: Final = "ÁÀÄÂÃÅÉÈËÊÍÌÏÎÓÒÖÔÕÚÙÜÛÝÇÑáàäâãåéèëêíìïîóòöôõúùüûýçñ"
_PLAIN: Final = "AAAAAAEEEEIIIIOOOOOUUUUYCNaaaaaaeeeeiiiiooooouuuuycn"
_UNACCENTED: Final = str.maketrans(_ACCENTED, _PLAIN)


def vector(*columns: str, **options: TextField[str, str]) -> SearchVector:
    """Return the words of the columns. An index and its search must say the same, to the letter.

    Columns of long texts need `output_field=TextField()`; PostgreSQL hears nothing of it.
    """
    return SearchVector(
        *(
            Func(F(column), Value(_ACCENTED), Value(_PLAIN), function="TRANSLATE", **options)
            for column in columns
        ),
        config="simple",
    )


def query(text: str) -> SearchQuery | None:
    """Return the condition that every word of the text begins a word; None where it has no words."""
    words = text.translate(_UNACCENTED).replace("\\", " ").replace("'", "''").split()
    if not words:
        return None
    return SearchQuery(
        " & ".join(f"'{word}':*" for word in words), config="simple", search_type="raw"
    )
