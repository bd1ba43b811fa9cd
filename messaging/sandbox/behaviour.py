"""How the sandbox carrier treats a message: as a good carrier would, or as it was told to misbehave.

One declaration says all of it. The presets are declarations with a name; the magic numbers are presets
that anybody can ask for by sending to them. They are fictitious numbers of North America (555-0100 to
555-0199), so that nobody is behind them; the area code names the preset, the last two digits are free.
`docs/sandbox.md` has both tables too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

OWN: Final = "own"
UNDER_WAY: Final = frozenset({"accepted", "queued", "sending", "sent"})  # words that end nothing

Closes = Literal["", "unread", "halfway", "unanswered"]
Line = Literal["kept", "missing", "doubled", "contradicted", "foreign", "extra", "reordered"]
Steps = tuple[tuple[str, str], ...]  # (status word, error code) of each report


@dataclass(frozen=True, slots=True, eq=False)  # told apart by identity: it is asked for often
class Behaviour:
    """What becomes of one request and of the message in it. Times are seconds."""

    # --- the answer
    status: int = 0  # of HTTP; 0 is the dialect's own for a message that is taken
    code: int | str = 0  # in an error's body, in Twilio's numbers; other dialects translate
    words: str = ""
    body: str | None = (
        None  # in place of the dialect's: a name of `answers.BODIES`, or the very text
    )
    headers: tuple[tuple[str, str], ...] = ()
    id: str | int | None = OWN  # what is answered for the message's id
    segments: int = 0  # what is answered for its parts; 0 is the true number
    line: Line = "kept"  # what becomes of its line in the answer to a batch
    # --- the message
    accepts: bool | None = None  # whether it is taken, whatever the answer says; None is as it says
    # --- time and connection
    pause: float = 0.0  # before it is taken or refused
    delay: float = 0.0  # from then to the answer
    closes: Closes = ""  # the connection, in place of the answer or in the middle of it
    # --- its delivery reports
    reports: Steps | None = None  # None: that it was delivered
    lag: float | None = None  # to the last report; None is as the carrier was started
    copies: int = 1  # of each report, sent at once
    early: bool = False  # the answer waits until its reports were answered
    signed: bool = True  # with the account's token, else with another
    known: bool = True  # about the message, else about one that nobody knows

    @property
    def fails(self) -> bool:
        """Whether the answer is no success, or does not arrive whole."""
        return self.status >= 300 or bool(self.closes)

    @property
    def takes(self) -> bool:
        """Whether the message is taken: also where only the answer is lost on its way."""
        if self.accepts is None:
            return self.status < 300 and self.closes != "unread"
        return self.accepts

    @property
    def is_whole(self) -> bool:
        """Whether it concerns a request as a whole, also where that carries other messages."""
        return bool(
            self.closes
            or self.body is not None
            or self.headers
            or self.pause
            or self.delay
            or 300 <= self.status < 400
            or self.status >= 500
            or self.status in {401, 402, 403, 408, 429}
        )

    @property
    def final(self) -> tuple[str, str]:
        """The status word and error code that the message ends with at the carrier."""
        told = self.reports or (("delivered", ""),)
        return next((step for step in reversed(told) if step[0] not in UNDER_WAY), told[-1])

    @property
    def final_code(self) -> int:
        """The error code of the last report as a number; 0 where there is none."""
        code = self.final[1]
        return int(code) if code.isdecimal() else 0


GOOD: Final = Behaviour()

_DELIVERED: Final = ("delivered", "")

PRESETS: Final[Mapping[str, Behaviour]] = {
    "good": GOOD,
    "invalid": Behaviour(400, 21211, "Invalid 'To' Phone Number"),
    "landline": Behaviour(400, 21614, "'To' number is not a valid mobile number"),
    "opted_out": Behaviour(400, 21610, "Attempt to send to unsubscribed recipient"),
    "undelivered": Behaviour(reports=(("undelivered", "30003"),)),
    "failed": Behaviour(reports=(("failed", "30008"),)),
    "busy": Behaviour(429, 20429, "Too Many Requests", headers=(("Retry-After", "1"),)),
    "broken": Behaviour(500, 20500, "Internal Server Error"),
    "broken_taken": Behaviour(500, 20500, "Internal Server Error", accepts=True),
    "slow": Behaviour(pause=3.0),
    "hanging": Behaviour(accepts=False, delay=3600.0),
    "reply_lost": Behaviour(closes="unanswered"),
    "doubled_reports": Behaviour(copies=3),
    "reordered_reports": Behaviour(reports=(_DELIVERED, ("sent", ""))),
    "line_missing": Behaviour(line="missing"),
    "contradicting_reports": Behaviour(reports=(_DELIVERED, ("failed", "30008"))),
    "no_reports": Behaviour(reports=()),
    "early_report": Behaviour(early=True),
    "forged_report": Behaviour(signed=False),
    "stray_report": Behaviour(known=False),
    "down": Behaviour(closes="unread"),
    "account_refused": Behaviour(401, 20003, "Authenticate"),
}

MAGIC: Final[Mapping[str, Behaviour]] = {
    area: PRESETS[name]
    for area, name in {
        "907": "invalid",
        "808": "landline",
        "406": "opted_out",
        "701": "undelivered",
        "307": "failed",
        "605": "busy",
        "802": "broken",
        "207": "broken_taken",
        "302": "slow",
        "401": "hanging",
        "402": "reply_lost",
        "505": "doubled_reports",
        "603": "reordered_reports",
        "601": "line_missing",
    }.items()
}

# Whose numbers misbehave only as many times as their last digit says; 0 is always.
GIVING_IN: Final = frozenset({"605"})
