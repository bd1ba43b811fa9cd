"""What every table has."""

from __future__ import annotations

from uuid import uuid4

from django.db import models
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class UuidV7(models.Func):
    """PostgreSQL's time-ordered UUID: rows written by SQL get keys in the order of writing."""

    function = "uuidv7"
    template = "%(function)s()"
    output_field = models.UUIDField()
    allowed_default = True


class Row(models.Model):
    """What every table has: a key that SQL and Python can both make, and its birth by one clock."""

    # The Python default lets the admin show an add page; the database's keeps bulk inserts ordered.
    id = models.UUIDField(primary_key=True, default=uuid4, db_default=UuidV7(), editable=False)
    created_at = models.DateTimeField(_("created at"), db_default=Now(), editable=False)

    class Meta:
        abstract = True
