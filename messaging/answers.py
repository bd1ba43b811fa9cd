"""The answer to a send: every message of a broadcast, read in pages."""

from collections.abc import Iterator
from typing import Final
from uuid import UUID

from django.db import connection

PAGE: Final = 5_000  # messages

# Messages that were just written are not in PostgreSQL's statistics yet: expecting a handful it would
# fetch and sort the whole broadcast for every page, which is quadratic. The index has them in order.
# Both statements go in one message: to PostgreSQL that is a transaction, as far as SET LOCAL goes.
_PAGE: Final = """
SET LOCAL enable_bitmapscan = off;
SELECT string_agg(format('{"id":"%%s","recipient":"%%s"}', id, recipient), ',' ORDER BY id),
  count(*), max(id::text)
FROM (
  SELECT id, recipient FROM messaging_message
  WHERE broadcast_id = %s AND id > %s ORDER BY id LIMIT %s
) page
"""


def pages(*, queue_id: UUID) -> Iterator[str]:
    """Yield the entries of an accepted broadcast's answer, as JSON text, page by page.

    Each page is a short transaction of its own, so a slow reader holds nothing in PostgreSQL, and its
    text is made there, so that memory stays flat at a million messages.
    """
    after = "00000000-0000-0000-0000-000000000000"
    while True:
        with connection.cursor() as cursor:
            cursor.execute(_PAGE, [queue_id, after, PAGE])
            cursor.nextset()
            text, count, last = cursor.fetchone()
        if count:
            yield text
        if count < PAGE:
            return
        after = last
