"""Asking a carrier what became of a message whose outcome we do not know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from messaging.providers import references
from messaging.providers.callbacks import ReportStatus


class LookUpFailed(Exception):
    """The carrier could not be asked; nothing was learnt. The message is fit to be shown."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after  # seconds, as the carrier asked; not yet clamped


@dataclass(frozen=True, slots=True)
class Handed:
    """A message that was handed over, or may have been."""

    id: UUID
    recipient: str = field(repr=False)  # E.164
    text: str = field(repr=False)
    submitted_at: datetime  # when its request started; with its zone
    again_at: datetime | None = None  # the same moment, where it was handed over before

    @property
    def reference(self) -> str:
        """Return the id that a carrier was given which takes one of ours."""
        return references.of(self.id, self.again_at)


@dataclass(frozen=True, slots=True)
class Found:
    """A message that the carrier has, and so took: its status is never empty."""

    provider_message_id: str
    status: ReportStatus
    is_certain: bool  # found by our own reference; else by number, text and time alone
    code: str = ""
    reason: str = ""
    opts_out: bool = False  # the recipient asked the carrier not to be written to any more
    raw: Mapping[str, object] = field(default_factory=dict, repr=False)  # fit for JSON
