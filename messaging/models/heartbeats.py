"""Rows of signs of life: what lets one process see that another works."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Heartbeat(models.Model):
    """When a part of the system last showed that it works, on PostgreSQL's clock."""

    part = models.CharField(primary_key=True, max_length=32)
    beat_at = models.DateTimeField()

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return self.part
