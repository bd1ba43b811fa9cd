"""What can become of a message that was handed to a provider: five outcomes, and no sixth.

Which one it is decides what happens to the message and its credits, so the question is never "did
it work" but "what do we know": taken, refused for ever, provably not sent, nobody may send with
this account, or not known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message and gave it its own id."""

    provider_message_id: str
    metadata: Mapping[str, object] = field(default_factory=dict)  # small, and fit for JSON


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will never take this message: sending it again would end the same way."""

    code: str
    reason: str
    opts_out: bool = False  # the recipient asked the carrier not to be written to any more


@dataclass(frozen=True, slots=True)
class Unavailable:
    """The message provably did not leave: it may be handed over again, here or elsewhere."""

    reason: str
    retry_after: float | None = None  # seconds, as the provider asked; not yet clamped
    gives_attempt_back: bool = False  # the provider was busy: the message has done nothing wrong
    code: str = ""
    internal: bool = False  # our own request could not be built: our defect, no carrier's


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """Nobody can send with this account until somebody repairs it; the message did not leave."""

    reason: str
    code: str


@dataclass(frozen=True, slots=True)
class Unclear:
    """Nobody knows whether the message left. It must not be sent again by itself."""

    reason: str
    code: str = ""
    is_an_answer: bool = False  # a working carrier looked at it: no failure of the credential


Result: TypeAlias = Accepted | Refused | Unavailable | Misconfigured | Unclear
