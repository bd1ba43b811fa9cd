"""`manage.py migrate`: Django's own, as the owner of the tables and without a time limit."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.core.management.commands import migrate
from django.db import connections
from psycopg.conninfo import conninfo_to_dict


@contextmanager
def _as_owner(alias: str) -> Iterator[None]:
    """Let the connection be the owner's meanwhile; the database stays the one it was for."""
    connection = connections[alias]
    serving = connection.settings_dict
    migrating = dict(serving)
    if settings.DATABASE_OWNER_URL:
        owner = conninfo_to_dict(settings.DATABASE_OWNER_URL)
        migrating |= {
            key.upper(): str(owner.get(key, "")) for key in ("user", "password", "host", "port")
        }
    # Building an index may take long; waiting for a lock may not: it holds up everybody behind it.
    migrating["OPTIONS"] = serving["OPTIONS"] | {"options": "-c lock_timeout=10s"}
    connection.close()
    connection.settings_dict = migrating
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict = serving


class Command(migrate.Command):
    """Migrates as DATABASE_OWNER_URL says, so that the role that serves requests owns nothing."""

    def handle(self, *args: Any, **options: Any) -> None:
        with _as_owner(options["database"]):
            super().handle(*args, **options)
