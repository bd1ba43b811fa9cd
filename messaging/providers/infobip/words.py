"""Infobip's words in ours: what the status of a message, its group and its error mean.

From "Response status and error codes" (infobip.com/docs/essentials/api-essentials) and the SMS API's
reference, version 3. Statuses and errors are told apart by their names: the numbers repeat. A name
that stands in no table is kept as it came and leaves its message of unknown outcome.
"""

from collections.abc import Mapping
from typing import Final

from messaging.providers.base import Misconfigured, Refused, Unavailable, Unclear
from messaging.providers.callbacks import ReportStatus

# Groups of statuses, by name, with their numbers and what a report or a look-up means by them.
GROUP_IDS: Final[Mapping[str, int]] = {
    "ACCEPTED": 0,
    "PENDING": 1,
    "UNDELIVERABLE": 2,
    "DELIVERED": 3,
    "EXPIRED": 4,
    "REJECTED": 5,
}
GROUPS: Final[Mapping[str, ReportStatus]] = {
    "ACCEPTED": "SENT",
    "PENDING": "SENT",
    "UNDELIVERABLE": "UNDELIVERED",
    "DELIVERED": "DELIVERED",
    "EXPIRED": "UNDELIVERED",
    "REJECTED": "FAILED",  # Infobip itself did not take it
}

DUPLICATE: Final = "REJECTED_DUPLICATE_MESSAGE_ID"

# Statuses that mean something else than their group.
STATUSES: Final[Mapping[str, ReportStatus]] = {
    "DELIVERED_TO_OPERATOR": "SENT",  # at the operator's; of the phone nothing is known
    "EXPIRED_DLR_UNKNOWN": "SENT",  # sent, and nobody ever said what became of it
    "UNDELIVERABLE_NOT_SENT": "FAILED",
    DUPLICATE: "",  # speaks of a second request, while the first may have arrived
}

# Groups of an answer to our request that say "taken".
TAKEN: Final = frozenset({"ACCEPTED", "PENDING", "DELIVERED"})

# Statuses of an answer that say "not taken", or that nobody knows.
ANSWERS: Final[Mapping[str, Misconfigured | Refused | Unavailable | Unclear]] = {
    result.code: result
    for result in (
        # --- the account, for every message alike: rows wait until somebody repairs it ------------
        Misconfigured(
            "the sender (`from`) is not registered for the Infobip account", "REJECTED_SOURCE"
        ),
        Misconfigured("the Infobip account has no credit left", "REJECTED_NOT_ENOUGH_CREDITS"),
        Misconfigured("the sender (`from`) is on a block list at Infobip", "REJECTED_SENDER"),
        Misconfigured(
            "the credit of the Infobip account has expired", "REJECTED_PREPAID_PACKAGE_EXPIRED"
        ),
        Misconfigured("the Infobip account has no route set up", "REJECTED_ROUTE_NOT_AVAILABLE"),
        Misconfigured("the Infobip trial is used up", "REJECTED_FREE_TRIAL_EXCEEDED"),
        # --- the recipient ------------------------------------------------------------------------
        Refused("REJECTED_NETWORK", "the Infobip account does not cover the recipient's network"),
        Refused("REJECTED_PREFIX_MISSING", "the number is not valid"),
        Refused("REJECTED_DESTINATION", "the number is not valid"),
        Refused("REJECTED_DND", "the number is in a register of people who want no messages"),
        Refused("REJECTED_DESTINATION_BLOCKLISTED", "the number is on a block list at Infobip"),
        Refused(
            "REJECTED_DESTINATION_NOT_REGISTERED", "a trial account sends to its own number only"
        ),
        Refused("REJECTED_FLOODING_FILTER", "the number got too many messages within an hour"),
        Refused("SIGNALS_BLOCKED", "Infobip took the message for fraud"),
        Refused("MISSING_TO", "the recipient is missing"),
        # --- the text -----------------------------------------------------------------------------
        Refused("REJECTED_MESSAGE_TOO_LONG", "the text is over 25 segments or 4000 bytes"),
        Refused("REJECTED_INVALID_UDH", "the text cannot be sent"),
        Refused("UNDELIVERABLE_NOT_SENT", "Infobip did not send it"),
        # --- not now ------------------------------------------------------------------------------
        Unavailable("a system error at Infobip", code="REJECTED_SYSTEM_ERROR"),
        Unavailable("Infobip is not available", code="UNDELIVERABLE_REJECTED_PLATFORM"),
        # --- not known ----------------------------------------------------------------------------
        # Our ids are used once. So Infobip took, or refused, this very message before.
        Unclear("Infobip knows a message with this id already", DUPLICATE),
    )
}

# Errors that say that the recipient asked not to be written to any more.
OPTED_OUT: Final = frozenset({"EC_CONTENT_BLOCKED", "EC_SC_BLOCKED_BY_END_USER"})

# Errors of a report, for people. The group decides, so an unknown one does no harm.
REASONS: Final[Mapping[str, str]] = {
    **{code: answer.reason for code, answer in ANSWERS.items()},
    "EC_UNKNOWN_SUBSCRIBER": "the number is not in service",
    "EC_UNIDENTIFIED_SUBSCRIBER": "the number is not in service",
    "EC_ABSENT_SUBSCRIBER_SM": "the phone is off or out of reach",
    "EC_ABSENT_SUBSCRIBER": "the phone is off or out of reach",
    "EC_ROAMING_NOT_ALLOWED": "the phone is abroad and may not receive there",
    "EC_ILLEGAL_SUBSCRIBER": "the carrier does not let this phone into its network",
    "EC_ILLEGAL_EQUIPMENT": "the carrier does not let this phone into its network",
    "EC_TELESERVICE_NOT_PROVISIONED": "the number cannot receive SMS",
    "EC_CALL_BARRED": "the carrier suspended the number",
    "EC_SUBSCRIBER_BUSY_FOR_MT_SMS": "the phone was busy",
    "EC_SM_DELIVERY_FAILURE": "the phone did not take the message",
    "EC_SM_DF_MEMORYCAPACITYEXCEEDED": "the phone's memory is full",
    "EC_MESSAGE_WAITING_LIST_FULL": "too many messages wait for this phone",
    "EC_SYSTEM_FAILURE": "a failure in the carrier's network",
    "EC_UNKNOWN_ERROR": "the carrier gave no reason",
    "EC_NO_RESPONSE": "the carrier did not answer",
    "EC_CANNOT_RECEIVE_SC": "the number cannot receive from short codes",
    "EC_SC_BLOCKED_BY_END_USER": "the recipient had this sender blocked",
    "EC_USER_OUT_OF_CREDIT": "the recipient has no credit left to receive it",
    "EC_TEMPORARY_HANDSET_FAILURE": "the phone failed for the moment",
    "EC_DEST_ADDRESS_UNABLE_TO_RECEIVE_SMS": "the number cannot receive SMS",
    "EC_INVALID_DESTINATION_ADDRESS": "the number is not valid",
    "EC_INVALID_REQUEST_DESTINATION": "the number is not valid",
    "EC_MSG_TEXT_TOO_LONG": "the text is too long for the carrier",
    "EC_INVALID_SOURCE_ADDRESS": "the carrier refuses this sender",
    "EC_LIMIT_REACHED": "the sender's rate at the carrier is exceeded",
    "EC_QUOTA_REACHED": "the sender's messages for today are used up at this carrier",
    "EC_CONTENT_BLOCKED": "the recipient opted out at the carrier",
    "EC_REJECTED_SPAM_BY_OPERATOR": "the carrier took the message for spam",
    "EC_SIGNALS_BLOCKED": "Infobip took the message for fraud",
    "EC_BLACKLISTED_DESTINATIONADDRESS": "the number is on a block list at Infobip",
    "EC_BLACKLISTED_SENDERADDRESS": "the sender is on a block list at Infobip",
    "EC_DEACTIVATED_LIST": "the number is not in service",
    "EC_MONTHLY_LIMIT_REACHED": "the Infobip account used up its month",
    "EC_VALIDITY_EXPIRED": "the message waited longer than it was valid",
    "EC_VP_EXPIRED": "the message waited longer than it was valid",
    "EC_MESSAGE_EXPIRED": "the message waited longer than it was valid",
    "EC_DESTINATION_FLOODING": "the number got too many messages within an hour",
    "EC_DESTINATION_TXT_FLOODING": "the number got this text too often within an hour",
    "EC_OPERATOR_NOT_FOUND": "the number belongs to no known carrier",
    "EC_CONTENT_BLOCKED_BY_OPERATOR": "the carrier blocked the text",
    "EC_DESTINATION_BLOCKED_BY_OPERATOR": "the carrier blocks the number",
    "EC_DESTINATION_NOT_SMS_PROVISIONED": "the number cannot receive SMS",
    "EC_DEST_ADDRESS_SUSPENDED": "the carrier suspended the number",
    "EC_SMS_REJECTED_BY_MOBILE_OPERATOR": "the carrier refused the message",
    "EC_TIME_OUT": "the carrier did not answer in time",
    "EC_DEST_ADDRESS_BLACKLISTED": "the number is in a register of people who want no messages",
    "EC_NOTSUBMITTEDTOGMSC": "Infobip did not hand the message to any carrier",
    "EC_DUPLICATE_MESSAGE": "the same text went to this number before",
}
