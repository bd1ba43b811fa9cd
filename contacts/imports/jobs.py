"""Imports from the door's side: looking at a file, taking it in, finding those nobody works on."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from threading import BoundedSemaphore
from typing import IO, Final
from uuid import UUID

from django.db import IntegrityError, connection, transaction
from django.utils.translation import gettext as _

from accounts import audit, roles
from accounts.models import Member, Organization
from accounts.roles import Right
from contacts import tags
from contacts.import_rows import LONGEST_FILE_NAME, ImportChunk, ImportJob
from contacts.imports import files, mapping, records
from contacts.imports.files import Table
from contacts.imports.limits import LONGEST_KEPT

CHUNK: Final = 5_000
"""Rows that a worker deals with in one transaction: a third of a second."""

SAMPLE: Final = 5
MOST_TAGS: Final = 1_000
"""Different tags that one file may name: a column with more is no column of tags."""

_LONGEST_SHOWN: Final = 200

_FORMULAS: Final = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")

_ONE_RUNNING: Final = "contacts_import_one_running"

_LEFT_BEHIND: Final = """
UPDATE contacts_importjob SET woken_at = clock_timestamp() WHERE id IN (
  SELECT j.id FROM contacts_importjob j JOIN accounts_organization o ON o.id = j.organization_id
  WHERE j.status = 'PROCESSING' AND o.status = 'ACTIVE'
    AND (j.woken_at IS NULL OR j.woken_at < clock_timestamp() - %s * interval '1 second')
  ORDER BY j.woken_at NULLS FIRST, j.id FOR NO KEY UPDATE OF j SKIP LOCKED)
RETURNING id
"""


# A file of a million rows holds its thread for a minute: most threads of a process stay free for others.
_PLACES: Final = BoundedSemaphore(2)


class ImportsBusy(Exception):
    """As many files are being read as this process reads at once; nothing was kept of this one."""

    retry_after = 30  # seconds


class ImportRunning(Exception):
    """Another import of the organization is not finished; nothing was kept of this one."""


@dataclass(frozen=True, slots=True)
class Preview:
    """What a file looks like before it is imported."""

    headers: list[str]
    sample: list[dict[str, str]]
    total: int
    mapping: dict[str, str]


def preview(*, file: IO[bytes]) -> Preview:
    """Return the columns, the first rows, how many there are, and which column seems to hold what.

    Raises: FormatNotRead, FileTooLarge, ImportsBusy.
    """
    with _place():
        return _previewed(files.open_table(file))


def _previewed(table: Table) -> Preview:
    first = [cells for _line, cells in islice(table.rows, SAMPLE)]
    return Preview(
        headers=table.headers,
        sample=[
            {
                header: cells[column].replace("\0", "")[:_LONGEST_SHOWN].strip()
                if column < len(cells)
                else ""
                for column, header in enumerate(table.headers)
            }
            for cells in first
        ],
        total=len(first) + sum(1 for _row in table.rows),
        mapping=mapping.guess(table.headers),
    )


def start(
    *,
    member: Member,
    file: IO[bytes],
    file_name: str,
    field_mapping: Mapping[str, str] | None = None,
    tag_ids: Collection[UUID] = (),
    mode: str = ImportJob.Mode.UPDATE,
    address: str | None = None,
) -> ImportJob:
    """Keep the whole file's rows and return the import that workers now carry out.

    All or nothing: a file that cannot be read to its end leaves nothing behind. Memory does not grow
    with the file. Raises: RoleMissing, FormatNotRead, FileTooLarge, MappingNotUsable, TagNotFound,
    ImportRunning, ImportsBusy.
    """
    roles.require(member, Right.MANAGE_CONTACTS)
    organization = member.organization
    if organization is None:
        raise roles.RoleMissing(roles.no_organization())
    _require_none_running(organization)
    found_tags = tags.of(organization=organization, ids=tag_ids)
    job = ImportJob(
        organization=organization,
        member=member,
        file_name=" ".join(file_name.replace("\0", "").split())[:LONGEST_FILE_NAME],
        mode=mode,
        tag_ids=[tag.pk for tag in found_tags],
    )
    try:
        with _place(), transaction.atomic():
            table = files.open_table(file)
            positions = mapping.positions(headers=table.headers, mapping=field_mapping)
            job.total = _keep(job, table, positions)
            job.save(force_insert=True)  # after its chunks: a twin waits for this row alone
            audit.record(
                act="import.started",
                subject=job,
                member=member,
                details={
                    "mode": job.mode,
                    "rows": job.total,
                    "fields": list(positions),
                    "tags": [str(pk) for pk in job.tag_ids],
                },
                address=address,
            )
    except IntegrityError as error:
        if _ONE_RUNNING not in str(error):
            raise
        raise _running() from error
    return job


def left_behind(*, seconds: float) -> list[UUID]:
    """Return the imports that nobody woke or worked for so long, and note that they are woken now."""
    with connection.cursor() as cursor:
        cursor.execute(_LEFT_BEHIND, [seconds])
        return [job_id for (job_id,) in cursor.fetchall()]


@contextmanager
def _place() -> Iterator[None]:
    """Read a file in this block, one of the few at once.

    Raises: ImportsBusy.
    """
    if not _PLACES.acquire(blocking=False):
        raise ImportsBusy(
            _("Other files are being read at this moment. Try again in half a minute.")
        )
    try:
        yield
    finally:
        _PLACES.release()


def _require_none_running(organization: Organization) -> None:
    running = ImportJob.objects.filter(
        organization=organization, status=ImportJob.Status.PROCESSING
    )
    if running.exists():
        raise _running()


def _running() -> ImportRunning:
    return ImportRunning(
        _("Another import of your organization is running. Wait until it is finished.")
    )


def _keep(job: ImportJob, table: Table, positions: Mapping[str, int]) -> int:
    """Write the rows to be worked on, and return how many there are."""
    columns = [positions.get(field) for field in mapping.FIELDS]
    width = len(table.headers)
    rows: Iterator[Kept] = (_row(line, cells, columns, width) for line, cells in table.rows)
    if "tags" in positions:
        rows = _with_few_tags(rows)
    number = total = 0
    while chunk := list(islice(rows, CHUNK)):
        # ASCII: what cannot be stored, as NUL, is written as an escape and refused row by row.
        ImportChunk.objects.create(job_id=job.pk, number=number, rows=json.dumps(chunk))
        number, total = number + 1, total + len(chunk)
    return total


Kept = tuple[int, list[str]]


def _row(line: int, cells: Sequence[str], columns: Sequence[int | None], width: int) -> Kept:
    """Return the line and the cells of the fields, in their order."""
    count = len(cells)
    if count > width and any(cell.strip() for cell in cells[width:]):
        return line, [records.TOO_MANY_CELLS]
    return line, [
        _cell(cells[column]) if column is not None and column < count else "" for column in columns
    ]


def _cell(text: str) -> str:
    """Return the text, bare, as it was before a spreadsheet was kept from reading it as a formula."""
    text = text.strip()[:LONGEST_KEPT]
    return text[1:] if text[:1] == "'" and text[1:2] in _FORMULAS else text


def _with_few_tags(rows: Iterator[Kept]) -> Iterator[Kept]:
    """Yield the rows while they name no more tags than an organization could want.

    Raises: MappingNotUsable.
    """
    seen: set[str] = set()
    position = mapping.FIELDS.index("tags")
    for line, cells in rows:
        if len(cells) > position and cells[position]:
            seen.update(records.tag_names(cells[position]))
            if len(seen) > MOST_TAGS:
                raise mapping.MappingNotUsable(
                    _(
                        "The column of tags holds more than %(limit)d different ones. Choose another"
                        " column, or none."
                    )
                    % {"limit": MOST_TAGS}
                )
        yield line, cells
