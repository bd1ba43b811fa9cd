"""Working through an import in bites: rows read, compared and written in sets, a chunk a transaction."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models.functions import Now

from accounts import audit
from contacts import phone_numbers
from contacts.import_rows import ImportChunk, ImportJob, ImportKey, UntakenRow
from contacts.imports import records
from contacts.imports.records import Record, Untaken
from contacts.models import Tag

log = logging.getLogger(__name__)

Mode, Status, Failure = ImportJob.Mode, ImportJob.Status, ImportJob.Failure
Reason = UntakenRow.Reason

BITE: Final = 2.0
"""Seconds after which a task makes room for the next."""

DELETED_AT_ONCE: Final = 20_000
"""Contacts that are taken out in one transaction: half a second."""

MOST_BROKEN: Final = 20
"""Bites that may break off one after the other before the import is given up."""

# Whoever holds the row works at this moment: nobody waits for that.
_BEGIN: Final = """
UPDATE contacts_importjob SET broken_bites = broken_bites + 1, woken_at = clock_timestamp() WHERE id =
  (SELECT j.id FROM contacts_importjob j JOIN accounts_organization o ON o.id = j.organization_id
   WHERE j.id = %s AND j.status = 'PROCESSING' AND o.status = 'ACTIVE'
   FOR NO KEY UPDATE OF j SKIP LOCKED)
RETURNING broken_bites
"""

_TABLE: Final = """
CREATE TEMPORARY TABLE contacts_bite (
  line int NOT NULL, key text NOT NULL, phone text NOT NULL, country text NOT NULL,
  e164 text NOT NULL, region text NOT NULL, read_as text NOT NULL, refusal text NOT NULL,
  name text NOT NULL, last_name text NOT NULL, email text NOT NULL, birth_date text NOT NULL,
  status text NOT NULL, tags text NOT NULL,
  own_id uuid NOT NULL DEFAULT uuidv7(), known_id uuid
)
"""

_COPY: Final = """
COPY contacts_bite (line, key, phone, country, e164, region, read_as, refusal, name, last_name, email,
  birth_date, status, tags) FROM STDIN
"""

_ESCAPES: Final = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_ESCAPED: Final = re.compile(r"[\\\t\n\r]")

_COPY_UNTAKEN: Final = "COPY contacts_untakenrow (job_id, line, reason, detail) FROM STDIN"

_TAKE_KEYS: Final = """
INSERT INTO contacts_importkey (job_id, key, line)
SELECT %(job)s, key, line FROM contacts_bite ORDER BY line ON CONFLICT DO NOTHING
"""

_LEAVE_REPEATED: Final = f"""
WITH repeated AS (
  DELETE FROM contacts_bite b USING contacts_importkey k
  WHERE k.job_id = %(job)s AND k.key = b.key AND k.line <> b.line
  RETURNING b.line, k.line AS first
)
INSERT INTO contacts_untakenrow (job_id, line, reason, detail)
SELECT %(job)s, line, '{Reason.REPEATED}', first FROM repeated
"""

# The oldest contact with the number: a broadcast writes to it. Written so that the index of numbers is the
# only one that fits: with the statistics of an empty table, the planner reads all contacts in the order of
# their creation for every single row.
_FIND_KNOWN: Final = """
UPDATE contacts_bite b SET known_id = known.id
FROM (
  SELECT line, (
    SELECT (array_agg(c.id ORDER BY c.created_at, c.id))[1] FROM contacts_contact c
    WHERE c.organization_id = %(organization)s AND c.e164 = read.e164
      AND coalesce(c.deleted_at, 'infinity') = 'infinity') AS id
  FROM contacts_bite read WHERE e164 <> ''
) known
WHERE known.line = b.line AND known.id IS NOT NULL
"""
# Few are written so. Once for the whole chunk: at worst the contacts are read once.
_FIND_KNOWN_UNREAD: Final = f"""
UPDATE contacts_bite b SET known_id = known.id
FROM (
  SELECT DISTINCT ON (phone) phone, id FROM contacts_contact
  WHERE organization_id = %(organization)s AND deleted_at IS NULL AND read_as <> ''
    AND read_as = '{phone_numbers.NOWHERE}' AND phone = ANY(%(unread)s)
  ORDER BY phone, created_at, id
) known
WHERE known.phone = b.phone AND b.e164 = ''
"""

_LEAVE_KNOWN: Final = f"""
WITH known AS (DELETE FROM contacts_bite WHERE known_id IS NOT NULL RETURNING line)
INSERT INTO contacts_untakenrow (job_id, line, reason, detail)
SELECT %(job)s, line, '{Reason.KNOWN}', '' FROM known
"""

# What the file says nothing of stays as it is; what it says nothing new of is not written.
_OLD: Final = "c.name, c.last_name, c.email, c.birth_date, c.status"
_NEW: Final = """coalesce(nullif(b.name, ''), c.name), coalesce(nullif(b.last_name, ''), c.last_name),
  coalesce(nullif(b.email, ''), c.email), coalesce(nullif(b.birth_date, '')::date, c.birth_date),
  coalesce(nullif(b.status, ''), c.status)"""
_UPDATE: Final = f"""
UPDATE contacts_contact c SET (name, last_name, email, birth_date, status, updated_at) = ROW({_NEW}, now())
FROM contacts_bite b WHERE c.id = b.known_id AND ({_OLD}) IS DISTINCT FROM ({_NEW})
"""

# Whom somebody blocked stays blocked by his number, unless the file says otherwise.
_KEEP_BLOCKED: Final = """
UPDATE contacts_bite b SET status = 'BLOCKED'
FROM (
  SELECT DISTINCT coalesce(nullif(e164, ''), '~' || phone) AS key FROM contacts_contact
  WHERE organization_id = %(organization)s AND deleted_at IS NULL AND status = 'BLOCKED'
) blocked
WHERE b.key = blocked.key AND b.status = ''
"""

# A microsecond apart, so that they stand in the order of the file wherever they are listed; never before
# the import, should the clock go back: what is older is what replacing takes out.
_INSERT: Final = """
INSERT INTO contacts_contact (id, organization_id, created_at, updated_at, name, last_name, email, phone,
  country, e164, region, read_as, refusal, status, origin, birth_date)
SELECT own_id, %(organization)s,
  greatest(now(), %(begun)s) + (line - %(first)s) * interval '1 microsecond', now(), name, last_name,
  email, phone, country, e164, region, read_as, refusal,
  coalesce(nullif(status, ''), 'ACTIVE'), 'IMPORT', nullif(birth_date, '')::date
FROM contacts_bite WHERE known_id IS NULL ORDER BY line
"""

_TAG_ALL: Final = """
INSERT INTO contacts_contact_tags (contact_id, tag_id)
SELECT coalesce(b.known_id, b.own_id), t.id FROM contacts_bite b CROSS JOIN contacts_tag t
WHERE t.organization_id = %(organization)s AND t.id = ANY(%(tags)s::uuid[]) ON CONFLICT DO NOTHING
"""
_MAKE_TAGS: Final = """
INSERT INTO contacts_tag (organization_id, name, description, color, updated_at)
SELECT DISTINCT %(organization)s::uuid, named.name, '', %(color)s, now()
FROM contacts_bite b CROSS JOIN LATERAL string_to_table(b.tags, E'\\n') AS named(name)
WHERE b.tags <> '' ORDER BY 2 ON CONFLICT DO NOTHING
"""
_TAG_EACH: Final = """
INSERT INTO contacts_contact_tags (contact_id, tag_id)
SELECT coalesce(b.known_id, b.own_id), t.id
FROM contacts_bite b CROSS JOIN LATERAL string_to_table(b.tags, E'\\n') AS named(name)
JOIN contacts_tag t ON t.organization_id = %(organization)s AND t.name = named.name
WHERE b.tags <> '' ON CONFLICT DO NOTHING
"""

_DELETE: Final = """
UPDATE contacts_contact SET deleted_at = now(), updated_at = now() WHERE id IN (
  SELECT id FROM contacts_contact
  WHERE organization_id = %s AND deleted_at IS NULL AND {}
  ORDER BY created_at, id LIMIT %s)
"""
_DELETE_OLD: Final = _DELETE.format("created_at < %s")
# Its own: an organization has one import at a time, and from nowhere else are contacts of that origin.
_DELETE_NEW: Final = _DELETE.format("created_at >= %s AND origin = 'IMPORT'")


def work(*, job_id: UUID) -> bool:
    """Work on an import for about two seconds; return whether more is left.

    Each chunk is one transaction: whoever is killed leaves what was committed, and the next goes on from
    there. Doing it twice at once is harmless. An import that breaks off again and again is given up.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, [job_id])
        begun = cursor.fetchone()
    if begun is None:
        return False
    if begun[0] > MOST_BROKEN:
        log.error("import_given_up", extra={"import": str(job_id)})
        _give_up(job_id, Failure.BROKEN)
        return False
    deadline = time.monotonic() + BITE
    with ThreadPoolExecutor(1, thread_name_prefix="import") as pool:
        ahead = _Ahead(pool, until=deadline)
        while _work_on_chunk(job_id, ahead):
            if time.monotonic() >= deadline:
                return True
    return False


@dataclass(frozen=True, slots=True)
class _Read:
    """What became of the rows of a chunk before anything is written."""

    taken: list[tuple[int, Record]] = field(default_factory=list)
    untaken: list[tuple[int, Untaken]] = field(default_factory=list)


class _Ahead:
    """Reads the rows of the next chunk in a thread of its own while PostgreSQL works on this one."""

    def __init__(self, pool: ThreadPoolExecutor, *, until: float) -> None:
        self._pool = pool
        self._until = until
        self._begun: dict[int, Future[_Read]] = {}
        self._last = 0.0

    def read(self, job: ImportJob, numbers: list[int]) -> _Read:
        """Return the rows of the first of these chunks; begin the second, if its turn comes in this bite."""
        now = time.monotonic()
        of_one, self._last = now - (self._last or now), now
        this = self._begun.pop(numbers[0], None) or self._begin(job, numbers[0])
        read = this.result()
        for number in numbers[1:]:
            if now + of_one < self._until:
                self._begun[number] = self._begin(job, number)
        return read

    def _begin(self, job: ImportJob, number: int) -> Future[_Read]:
        rows = ImportChunk.objects.values_list("rows", flat=True).get(job=job, number=number)
        return self._pool.submit(_read, rows, job.organization.country)


@transaction.atomic
def _work_on_chunk(job_id: UUID, ahead: _Ahead) -> bool:
    """Deal with the next chunk, or take out old contacts, or finish; return whether more is left."""
    job = _held(job_id)
    if job is None:
        return False
    chunks = ImportChunk.objects.filter(job=job).order_by("number")
    if numbers := list(chunks.values_list("number", flat=True)[:2]):
        _deal_with(job, ahead.read(job, numbers))
        chunks.filter(number=numbers[0]).delete()
    elif job.mode == Mode.DELETE_ALL and _is_of_another_kind(job):
        taken_back = _delete_some(job, _DELETE_NEW)
        job.added -= taken_back
        if not taken_back:
            nothing = job.not_taken == job.total
            _finish(job, failure=Failure.NOTHING_TAKEN if nothing else Failure.FEW_TAKEN)
            return False
    elif job.mode == Mode.DELETE_ALL and (deleted := _delete_some(job, _DELETE_OLD)):
        job.deleted += deleted
    else:
        _finish(job)
        return False
    job.broken_bites = 0
    job.save(update_fields=["done", "added", "updated", "deleted", "not_taken", "broken_bites"])
    return True


def _held(job_id: UUID) -> ImportJob | None:
    """Return the running import, locked; None where it is finished or somebody else works on it."""
    return (
        ImportJob.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
        .select_related("organization", "member")
        .filter(pk=job_id, status=Status.PROCESSING)
        .first()
    )


def _read(rows: str, default_country: str) -> _Read:
    """Return the contacts of these rows, and the reasons of those that are none. It touches no database."""
    read = _Read()
    for line, cells in json.loads(rows):
        record = records.read(cells, default_country=default_country)
        if isinstance(record, Untaken):
            read.untaken.append((line, record))
        else:
            read.taken.append((line, record))
    return read


def _deal_with(job: ImportJob, read: _Read) -> None:
    """Write the contacts of a chunk, and the reasons of those that are none."""
    with connection.cursor() as cursor:
        if read.untaken:
            _report(cursor, job, read.untaken)
        added, found = _write(cursor, job, read.taken) if read.taken else (0, 0)
    rows = len(read.taken) + len(read.untaken)
    job.done += rows
    job.added += added
    job.updated += found
    job.not_taken += rows - added - found


def _report(cursor: CursorWrapper, job: ImportJob, untaken: Iterable[tuple[int, Untaken]]) -> None:
    with cursor.copy(_COPY_UNTAKEN) as copy:
        for line, why in untaken:
            copy.write_row((job.pk, line, why.reason, why.detail))


def _write(
    cursor: CursorWrapper, job: ImportJob, taken: list[tuple[int, Record]]
) -> tuple[int, int]:
    """Write the contacts; return how many were added and how many of them were there."""
    values = {
        "job": job.pk,
        "organization": job.organization_id,
        "first": taken[0][0],
        "begun": job.created_at,
        "tags": job.tag_ids,
        "unread": [phone for _line, (_key, phone, _country, e164, *_rest) in taken if not e164],
        "color": Tag._meta.get_field("color").default,
    }

    def run(statement: str) -> int:
        cursor.execute(statement, values)
        return int(cursor.rowcount)

    cursor.execute(_TABLE)
    with cursor.copy(_COPY) as copy:
        copy.write("".join(_copied(line, record) for line, record in taken))
    cursor.execute("ANALYZE contacts_bite")
    if run(_TAKE_KEYS) < len(taken):
        run(_LEAVE_REPEATED)
    if job.mode == Mode.DELETE_ALL:
        run(_KEEP_BLOCKED)
    else:
        run(_FIND_KNOWN)
        if values["unread"]:
            run(_FIND_KNOWN_UNREAD)
    if job.mode == Mode.ADD:
        run(_LEAVE_KNOWN)
    cursor.execute("SELECT count(*) FROM contacts_bite WHERE known_id IS NOT NULL")
    found = int(cursor.fetchone()[0])
    if found:
        run(_UPDATE)
    added = run(_INSERT)
    if job.tag_ids:
        run(_TAG_ALL)
    if any(record[-1] for _line, record in taken):
        run(_MAKE_TAGS)
        run(_TAG_EACH)
    cursor.execute("DROP TABLE contacts_bite")
    return added, found


def _copied(line: int, record: Record) -> str:
    """Return a row as COPY reads it. Written by hand: `write_row` takes five times as long."""
    if _ESCAPED.search("".join(record)):
        return "\t".join([str(line), *(cell.translate(_ESCAPES) for cell in record)]) + "\n"
    return "\t".join([str(line), *record]) + "\n"


def _is_of_another_kind(job: ImportJob) -> bool:
    """Return whether fewer rows became contacts than could not: a file that replaces nobody.

    As where a column is matched wrongly. A number that is repeated is a good row.
    """
    repeated = UntakenRow.objects.filter(job=job, reason=Reason.REPEATED).count()
    return job.added < max(1, job.not_taken - repeated)


def _delete_some(job: ImportJob, statement: str) -> int:
    """Take out some of the contacts that are older than the import, or its own; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(statement, [job.organization_id, job.created_at, DELETED_AT_ONCE])
        return int(cursor.rowcount)


def _give_up(job_id: UUID, failure: str) -> None:
    with transaction.atomic():
        job = _held(job_id)
        if job is not None:
            _finish(job, failure=failure)


def _finish(job: ImportJob, *, failure: str = "") -> None:
    """End the import for good, with its audit entry."""
    ImportKey.objects.filter(job=job).delete()
    ImportChunk.objects.filter(job=job).delete()
    ImportJob.objects.filter(pk=job.pk).update(
        status=Status.ERROR if failure else Status.COMPLETED, failure=failure, finished_at=Now()
    )
    counts = {
        name: getattr(job, name) for name in ("total", "added", "updated", "deleted", "not_taken")
    }
    audit.record(
        act="import.finished",
        subject=job,
        member=job.member,
        organization=job.organization,
        details={"failure": failure, **counts},
    )
    log.info("import_finished", extra={"import": str(job.pk), "failure": failure, **counts})
