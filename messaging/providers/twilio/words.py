"""Twilio's words in ours: what an error code, a message status and a report's code mean.

From Twilio's Error and Warning Dictionary (twilio.com/docs/api/errors/CODE) and its Message
resource. A code that stands in no table is kept as it came and its message is of unknown outcome;
Twilio adds codes without notice.

A 429 "is never processed" and is "always safe to retry" (its help article on Error 429). Of 500,
502, 503 and 504 it says only that they are temporary: the message may have been taken.
"""

from collections.abc import Mapping
from typing import Final

from messaging.providers.base import Misconfigured, Refused, Unavailable
from messaging.providers.callbacks import ReportStatus

OPTED_OUT: Final = "21610"

# Codes of an answer to our request. All of them come with a 4xx: the message was not taken.
CODES: Final[Mapping[str, Misconfigured | Refused | Unavailable]] = {
    result.code: result
    for result in (
        # --- the account, for every message alike: rows wait until somebody repairs it ------------
        Misconfigured("the Twilio account is not active", "10001"),
        Misconfigured("Twilio does not accept the account SID with this token", "20003"),
        Misconfigured("the Twilio account is not active", "20005"),
        Misconfigured("Twilio denies access to this account", "20006"),
        Misconfigured("these are Twilio's test credentials", "20008"),
        Misconfigured("this action is disabled for the Twilio account", "20010"),
        Misconfigured("Twilio forbids this request to the account", "20403"),
        Misconfigured("Twilio knows no such account", "20404"),
        Misconfigured("the Twilio account reached its messages for today", "63038"),
        Misconfigured("the Twilio trial account reached its messages", "30454"),
        # --- the sender, likewise -----------------------------------------------------------------
        Misconfigured("the sender (`from`) is not a number of the Twilio account", "21212"),
        Misconfigured("a trial account cannot send from an alphanumeric sender", "21267"),
        Misconfigured("the sender (`from`) cannot send messages", "21601"),
        Misconfigured("a sender is missing: set `from` or `messaging_service`", "21603"),
        Misconfigured("Twilio cannot call PUBLIC_URL: it must be a public address", "21609"),
        Misconfigured("the sender (`from`) belongs to another Twilio account", "21660"),
        Misconfigured("the sender (`from`) cannot send messages", "21661"),
        Misconfigured("the messaging service has no sender", "21704"),
        Misconfigured("the messaging service is not one of the Twilio account", "21705"),
        # --- the sender for this destination, perhaps for all: another provider may do --------------
        Unavailable("the sender (`from`) cannot send messages there", code="21606"),
        Unavailable("the sender (`from`) is no Twilio number, or not there", code="21659"),
        Unavailable("the messaging service has no sender for this destination", code="21703"),
        # --- the recipient ------------------------------------------------------------------------
        Refused("21211", "the number is not valid"),
        Refused("21214", "the number cannot be reached"),
        Refused("21217", "the number does not appear to be valid"),
        Refused("21219", "a trial account sends to verified numbers only"),
        Refused("21265", "the number is a short code"),
        Refused("21266", "the number is the sender's own"),
        Refused("21268", "the number is premium-rate"),
        Refused("21408", "the Twilio account may not send to this country"),
        Refused("21604", "the recipient is missing"),
        Refused("21608", "a trial account sends to verified numbers only"),
        Refused(OPTED_OUT, "the recipient opted out at the carrier", opts_out=True),
        Refused("21612", "the number cannot be reached from this sender"),
        Refused("21614", "the number is not a mobile number"),
        Refused("21635", "the number is a landline"),
        # --- the text -----------------------------------------------------------------------------
        Refused("21602", "the text is missing"),
        Refused("21605", "the text is too long"),
        Refused("21617", "the text is over 1600 characters"),
        Refused("21618", "the text cannot be sent"),
        Refused("21658", "the text is over 1600 characters"),
        # --- not now ------------------------------------------------------------------------------
        Unavailable("Twilio is busy", gives_attempt_back=True, code="20429"),
        Unavailable(
            "the sender's queue at Twilio is full", 60.0, gives_attempt_back=True, code="21611"
        ),
    )
}

# Statuses of a message. What Twilio queues, it took. "failed" comes after that, so it is UNDELIVERED.
STATUSES: Final[Mapping[str, ReportStatus]] = {
    "accepted": "SENT",
    "scheduled": "SENT",
    "queued": "SENT",
    "sending": "SENT",
    "partially_delivered": "",
    "receiving": "",
    "received": "",
    "sent": "SENT",
    "delivered": "DELIVERED",
    "read": "DELIVERED",
    "undelivered": "UNDELIVERED",
    "failed": "UNDELIVERED",
    "canceled": "UNDELIVERED",
}

# Codes of a delivery report, for people. The status decides, so an unknown one does no harm.
REASONS: Final[Mapping[str, str]] = {
    **{code: result.reason for code, result in CODES.items()},
    "30001": "the sender's queue at Twilio was full",
    "30002": "the Twilio account was suspended",
    "30003": "the phone is off or out of reach",
    "30004": "the recipient or the carrier blocks the message",
    "30005": "the number is not in service",
    "30006": "the number is a landline, or its carrier cannot be reached",
    "30007": "the carrier filtered the message",
    "30008": "the carrier gave no reason",
    "30009": "a part of the message is missing",
    "30010": "the price is above the allowed maximum",
    "30017": "the carrier's network is congested",
    "30018": "the carrier wants this sender registered first",
    "30019": "the text is too long for the carrier",
    "30022": "the sender's rate at the carriers is exceeded",
    "30023": "the sender's messages for today are used up",
    "30024": "the carrier does not know this sender",
    "30027": "the sender's messages for today are used up at this carrier",
    "30032": "the toll-free sender is not verified",
    "30033": "the sender's campaign is suspended",
    "30034": "the sender is not registered",
    "30036": "the message waited longer than it was valid",
}
