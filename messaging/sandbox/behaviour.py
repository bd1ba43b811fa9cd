"""How the sandbox carrier treats a message: as a good carrier would, or as its number asks.

The numbers are fictitious ones of North America (555-0100 to 555-0199), so that nobody is behind
them; the area code names the behaviour, the last two digits are free. `docs/sandbox.md` has the
table too.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What becomes of one request and of the message in it."""

    status: int = 201  # of the HTTP answer
    code: int = 0  # Twilio's, in an error's body
    words: str = ""
    accepts: bool = True  # whether the message is taken, whatever the answer says
    retry_after: str = ""
    final: str = "delivered"  # the status its last delivery report tells
    final_code: int = 0
    eventually: bool = False  # answers so only as many times as the last digit says; 0 is always


GOOD: Final = Behaviour()

MAGIC: Final[Mapping[str, Behaviour]] = {
    "907": Behaviour(400, 21211, "Invalid 'To' Phone Number", accepts=False),
    "808": Behaviour(400, 21614, "'To' number is not a valid mobile number", accepts=False),
    "406": Behaviour(400, 21610, "Attempt to send to unsubscribed recipient", accepts=False),
    "701": Behaviour(final="undelivered", final_code=30003),
    "307": Behaviour(final="failed", final_code=30008),
    "605": Behaviour(
        429, 20429, "Too Many Requests", accepts=False, retry_after="1", eventually=True
    ),
    "802": Behaviour(500, 20500, "Internal Server Error", accepts=False),
    "207": Behaviour(500, 20500, "Internal Server Error"),
}

_MAGIC_NUMBER: Final = re.compile(r"\+1([0-9]{3})55501[0-9]([0-9])")


class Behaviours:
    """Decides on each request. What is set by hand at run time will be asked here first."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()

    def clear(self) -> None:
        """Begin anew: numbers that give in after a while have done so never before."""
        self._asked.clear()

    def of(self, recipient: str) -> Behaviour:
        """Return how a request for this recipient is treated now."""
        magic = _MAGIC_NUMBER.fullmatch(recipient)
        behaviour = MAGIC.get(magic[1], GOOD) if magic else GOOD
        if magic and behaviour.eventually:
            self._asked[recipient] += 1
            if 0 < int(magic[2]) < self._asked[recipient]:
                return GOOD
        return behaviour
