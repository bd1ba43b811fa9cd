"""Which column of a file holds what: guessed from the headers, or as given."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Final

from django.utils.translation import gettext as _

FIELDS: Final = (
    "phone",
    "countryCode",
    "country",
    "name",
    "lastName",
    "email",
    "birthDate",
    "status",
    "tags",
)
"""What a column may hold, by the wire's names, in the order in which rows are kept."""

# What people and other programs call them, without accents, blanks and capitals; Spanish and English.
_CALLED: Final[Mapping[str, frozenset[str]]] = {
    field: frozenset(names.split())
    for field, names in {
        "phone": """phone phonenumber phone1 phone1value mobile mobilephone mobilenumber cell cellphone
            msisdn number numero numeros tel telefono telefonos telefonomovil telefonocelular telephone
            movil celular celulares numerocelular numerodecelular numerotelefono numerodetelefono
            nrocelular whatsapp e164 recipient contacto""",
        "countryCode": """countrycode callingcode dialcode prefix codigopais codigodepais indicativo
            prefijo""",
        "country": "country pais countryname iso region",
        "name": """name firstname givenname forename first fullname nombre nombres primernombre
            nombrecompleto nombreyapellido""",
        "lastName": "lastname surname familyname last apellido apellidos primerapellido",
        "email": "email mail emailaddress email1value correo correoelectronico emailcorreo",
        "birthDate": """birthdate birthday dateofbirth dob born fechanacimiento fechadenacimiento
            nacimiento cumpleanos fecnac""",
        "status": "status state estado",
        "tags": "tags tag labels label groups group etiquetas etiqueta grupos grupo",
    }.items()
}
_NO_LETTER: Final = re.compile(r"[^a-z0-9]")


class MappingNotUsable(ValueError):
    """The columns are not matched so that contacts could be read; nothing was kept of the file."""


def guess(headers: Sequence[str]) -> dict[str, str]:
    """Return the header of each field that one is called for, the first where several are.

    A file of one column has phone numbers, whatever it is called.
    """
    if len(headers) == 1:
        return {"phone": headers[0]}
    plain = [(_plain(header), header) for header in headers]
    return {
        field: found
        for field, names in _CALLED.items()
        if (found := next((header for name, header in plain if name in names), None)) is not None
    }


def positions(*, headers: Sequence[str], mapping: Mapping[str, str] | None) -> dict[str, int]:
    """Return the column of each field, guessed where no mapping is given.

    A mapping names headers by fields, `{"phone": "Celular"}`; the other way round is understood too.
    Fields without a header are left out.

    Raises: MappingNotUsable with what is wrong with it.
    """
    given = _by_field(mapping) if mapping is not None else guess(headers)
    given = {field: header for field, header in given.items() if header}
    unknown = sorted(set(given) - set(FIELDS))
    if unknown:
        raise MappingNotUsable(
            _("There is no field %(unknown)s. There are: %(fields)s.")
            % {"unknown": ", ".join(unknown)[:200], "fields": ", ".join(FIELDS)}
        )
    absent = [header for header in given.values() if header not in headers]
    if absent:
        raise MappingNotUsable(
            _("The file has no column %(absent)s. It has: %(headers)s.")
            % {"absent": ", ".join(absent)[:200], "headers": ", ".join(headers)[:500]}
        )
    if "phone" not in given:
        raise MappingNotUsable(_("Say which column holds the phone numbers, as the field phone."))
    if len(set(given.values())) < len(given):
        raise MappingNotUsable(_("One column cannot be two fields. Match each column once."))
    return {field: headers.index(given[field]) for field in FIELDS if field in given}


def _by_field(mapping: Mapping[str, str]) -> dict[str, str]:
    """Return the mapping from field to header, whichever way it was written."""
    if mapping and not set(mapping) <= set(FIELDS):
        taken = {field: header for header, field in mapping.items() if field in FIELDS}
        if len(taken) == sum(1 for field in mapping.values() if field):
            return taken
    return dict(mapping)


def _plain(header: str) -> str:
    decomposed = unicodedata.normalize("NFKD", header.casefold())
    return _NO_LETTER.sub("", decomposed)
