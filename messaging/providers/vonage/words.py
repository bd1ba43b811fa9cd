"""Vonage's words in ours: what an error code and a message status mean.

From the Messages API's list of errors (developer.vonage.com/api-errors/messages), its reference
(developer.vonage.com/api/messages) and "Messages API Status Callbacks" (…/messages/concepts). The same
codes come in an answer and, after a message was taken, in a callback.

The reference numbers some errors of an answer otherwise than the list does (1100 is an unsupported
channel there, a failed communication here). A code stands in the table only where both mean
that nothing was taken, or one of them alone has it. What stands in none is kept as it came and leaves
its message of unknown outcome.
"""

from collections.abc import Mapping
from typing import Final

from messaging.providers.base import Misconfigured, Refused, Unavailable
from messaging.providers.callbacks import ReportStatus

OPTED_OUT: Final = "1240"

_NO_SENDER: Final = Misconfigured("the sender (`from`) is not valid for SMS", "1420")
_NO_NUMBER: Final = Refused("1430", "the number is not valid")


def _unreadable(code: str) -> Unavailable:
    return Unavailable("Vonage cannot read our request", code=code, internal=True)


# Codes with which Vonage itself does not take a message. Of a 4xx, or of a callback.
CODES: Final[Mapping[str, Misconfigured | Refused | Unavailable]] = {
    result.code: result
    for result in (
        # --- the account, for every message alike: rows wait until somebody repairs it ------------
        Misconfigured("the Vonage account is barred from sending", "1060"),
        Misconfigured("the Vonage account's quota or credit is used up", "1070"),
        Misconfigured("the Vonage account may not send by this API", "1080"),
        Misconfigured("the Vonage account lacks a facility that this needs", "1140"),
        _NO_SENDER,
        Misconfigured("the sender's messages for today are used up", "1460"),
        Misconfigured("the sender (`from`) is on a list of numbers that send nothing", "1476"),
        # --- the sender for this destination: another provider may do ------------------------------
        Unavailable("the sender (`from`) is not allowed there", code="1120"),
        # --- the recipient ------------------------------------------------------------------------
        Refused("110", "the number is not valid"),  # the reference's
        Refused("1040", "the number cannot be reached"),
        Refused("1050", "the number is on a block list at Vonage"),
        Refused("1160", "the Vonage account sends to the numbers of its own list only"),
        Refused("1170", "the number is not valid"),
        Refused(OPTED_OUT, "the recipient opted out at the carrier", opts_out=True),
        _NO_NUMBER,
        Refused("1470", "a rule of the account at Vonage blocks it"),
        Refused("1472", "a limit of the account at Vonage blocks it"),
        Refused("1473", "Vonage took the message for fraud"),
        Refused("1474", "a rule of the account at Vonage blocks the country"),
        Refused("1475", "a rule of the account at Vonage blocks the network"),
        # --- the text -----------------------------------------------------------------------------
        Refused("1090", "the text is too long"),
        # --- not now ------------------------------------------------------------------------------
        Unavailable("Vonage is busy", gives_attempt_back=True, code="1000"),
        # --- what we sent is checked before, so these are defects of ours --------------------------
        _unreadable("1010"),
        _unreadable("1020"),
        _unreadable("1110"),  # the reference's
        _unreadable("1150"),
        _unreadable("1400"),
        _unreadable("1410"),
        _unreadable("1440"),
        _unreadable("1450"),
        _unreadable("invalid-json"),
    )
}

# What those last ones mean where Vonage blames one parameter alone.
PARAMETERS: Final[Mapping[str, Misconfigured | Refused]] = {
    "to": _NO_NUMBER,
    "from": _NO_SENDER,
    "text": Refused("1020", "the text cannot be sent"),
}

# Statuses of a message. What stands here was taken, unless a code above says otherwise.
STATUSES: Final[Mapping[str, ReportStatus]] = {
    "submitted": "SENT",
    "delivered": "DELIVERED",
    "rejected": "UNDELIVERED",
    "undeliverable": "UNDELIVERED",
}

# Codes beside `rejected` that say something else than that it did not arrive.
NOT_REJECTED: Final[Mapping[str, ReportStatus]] = {
    "1320": "",  # "already sent": speaks of a second message, while the first may have arrived
    "1490": "SENT",  # not every part was reported on in time: "partial delivery is possible"
}

# Codes of a callback, for people. The status decides, so an unknown one does no harm.
REASONS: Final[Mapping[str, str]] = {
    **{code: result.reason for code, result in CODES.items()},
    "1030": "an error at Vonage",
    "1180": "the phone is off or out of reach",
    "1190": "the number is not in service",
    "1200": "the recipient changed carriers, which cannot be followed",
    "1210": "the carrier took the message for spam",
    "1220": "the phone was busy",
    "1230": "a failure in the carrier's network",
    "1241": "the number got too many messages",
    "1250": "the number cannot be reached by any route",
    "1251": "the number cannot be reached by any route",
    "1260": "the number cannot be reached",
    "1270": "the carrier holds the text unfit for the recipient's age",
    "1280": "the carrier blocked the number",
    "1282": "the carrier blocked the message",
    "1290": "the recipient has no credit left to receive it",
    "1300": "the number is not one of the carrier's",
    "1310": "the phone cannot receive it",
    "1330": "the carrier gave no reason",
    "1331": "the carrier did not answer",
    "1360": "the message waited longer than it was valid",
    "1480": "the country wants an entity id",
    "1481": "the country wants this sender registered",
    "1482": "the country wants a content id",
    "1483": "the country wants the recipient's consent registered",
    "1484": "the sender did not pass the carrier's checks",
    "1490": "not every part of it was reported on in time",
    "2001": "the carrier took the message for fraud",
}
