"""Handing messages to Infobip, up to a hundred a request, and reading what it tells of them.

Its SMS API, version 3: `POST /sms/3/messages`, `GET /sms/3/logs`, the webhooks "Receive outbound SMS
message reports" and "Receive inbound SMS messages" (infobip.com/docs/api/channels/sms).

Every destination carries an id of ours, which names the message and, from its second attempt on, the
attempt; everything Infobip says of it repeats that id: answer, report and log. So an answer that was lost is
found again for certain, and what it says of an attempt that it refused says nothing of the next.

**How its callbacks are known.** Infobip signs nothing where the address comes with the message, as
ours does. HMAC, Basic and OAuth exist for the notification profiles of its Subscriptions API alone,
and what exactly its HMAC covers, under which header, is not documented. So the address that
we give it carries a token of our own, derived from SECRET_KEY for this account and this door
(`signing.door_with_token`); whoever calls without it is refused. It travels inside TLS; a new
SECRET_KEY changes it, and SECRET_KEY_FALLBACKS keeps the old one valid for what is on its way.
"""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final, Self
from uuid import UUID

from yarl import URL

from messaging.providers import references, signing
from messaging.providers.base import (
    Accepted,
    Batch,
    Callback,
    Capacity,
    Credential,
    Found,
    Handed,
    HTTPProvider,
    Inbound,
    InvalidProviderURL,
    InvalidReport,
    Kind,
    LookUpFailed,
    ProviderURL,
    Reply,
    Report,
    Request,
    Result,
    Unavailable,
    Unclear,
    is_this_machine,
    printable,
)
from messaging.providers.callbacks import MAX_JSON_BODY, ReportStatus
from messaging.providers.infobip.words import (
    ANSWERS,
    DUPLICATE,
    GROUP_IDS,
    GROUPS,
    OPTED_OUT,
    REASONS,
    STATUSES,
    TAKEN,
)

logger = logging.getLogger(__name__)

_HOSTS: Final = re.compile(r"([a-z0-9-]+\.)?api\.infobip\.com")  # each account has its own
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9_.-]{1,56}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{7,14}")  # an international number without its +
# Which of two logs of one message says more.
_ORDER: Final[tuple[ReportStatus, ...]] = ("", "FAILED", "SENT", "UNDELIVERED", "DELIVERED")


class Infobip(HTTPProvider):
    """An account at Infobip with one sender.

    A second message with the same id is refused (REJECTED_DUPLICATE_MESSAGE_ID), but for how long
    is not documented, so `idempotent_submit` is not claimed; a look-up is certain anyway.
    """

    slug: ClassVar[str] = "infobip"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"SMS", "OTP", "FLASH"})
    max_segments: ClassVar[int | None] = 25
    max_callback: ClassVar[int] = MAX_JSON_BODY
    lookup: ClassVar[bool] = True  # for 48 hours
    max_batch = 100

    def __init__(
        self,
        credential: Credential,
        capacity: Capacity | None = None,
        *,
        sender: str,
        base_url: URL,
    ) -> None:
        super().__init__(credential, capacity)
        self._base = base_url
        self._sender = sender
        self._headers = {
            "Authorization": f"App {credential.token}",
            "Content-Type": "application/json",
        }

    @classmethod
    def from_url(cls, url: ProviderURL) -> Self:
        credential = Credential(url.account, url.token)
        if not _ACCOUNT.fullmatch(credential.account):
            raise InvalidProviderURL(
                "the account must be a name of your choice without blanks, as your Infobip user: "
                "infobip://ACCOUNT:API_KEY@XXXXX.api.infobip.com"
            )
        if not credential.token:
            raise InvalidProviderURL(
                "the API key is missing: infobip://ACCOUNT:API_KEY@XXXXX.api.infobip.com"
            )
        sender = url.sender()
        return cls(credential, url.capacity(), sender=sender, base_url=url.base_url(_HOSTS))

    @property
    def simulated(self) -> bool:
        return is_this_machine(self._base.host or "")

    @property
    def inbound_url(self) -> str:
        return signing.door_with_token(self.slug, "inbound", self.name)

    # --- sending ----------------------------------------------------------------------------------

    def build(self, batch: Batch) -> Request:
        message: dict[str, object] = {
            "sender": self._sender.removeprefix("+"),
            "destinations": [
                {"to": message.recipient.removeprefix("+"), "messageId": message.reference}
                for message in batch.messages
            ],
            "content": {"text": batch.text},
            "webhooks": {
                "delivery": {"url": signing.door_with_token(self.slug, "reports", self.name)},
                "contentType": "application/json",
            },
        }
        if batch.kind == "FLASH":
            message["options"] = {"flash": True}
        body = {"messages": [message], "options": {"includeSmsCountInResponse": True}}
        return Request(
            self._base / "sms/3/messages",
            json.dumps(body, ensure_ascii=False).encode(),
            self._headers,
        )

    def parse(self, reply: Reply, payload: object, batch: Batch) -> Mapping[UUID, Result]:
        if 200 <= reply.status < 300:
            results = self.by_reference(batch, _answers(reply.status, payload))
            for name in {one.code for one in results.values() if isinstance(one, Unclear)}:
                if name not in {"", DUPLICATE}:
                    self.report_unknown(reply.status, name)
            return results
        code, words = _error(payload)
        if reply.status == 400 and code == "E400":
            # Nothing of it was taken. What we send is checked before, so it is a defect of ours.
            result: Result = Unavailable(
                f"Infobip cannot read our request: {words}", code=code, internal=True
            )
        else:
            result = self.by_status(reply.status, code=code, words=words)
        return {message.id: result for message in batch.messages}

    # --- callbacks --------------------------------------------------------------------------------

    def verify(self, callback: Callback) -> bool:
        """Return whether the callback's address carries the token that this account was given.

        Why it is no signature of Infobip's stands at the head of this module.
        """
        return signing.has_token(callback.url, self.name)

    def read_reports(self, callback: Callback) -> list[Report]:
        """Return the readable reports of a callback; one that is not does not hold up the others.

        Raises: InvalidReport when none is readable.
        """
        reports = []
        for result in callback.results:
            reference, (group, name) = result.get("messageId"), _status(result)
            if isinstance(reference, str) and 0 < len(reference) <= 200 and group:
                reports.append(self._report(result, reference, group, name))
        self._require_readable(len(reports), len(callback.results))
        return reports

    def _report(
        self, result: Mapping[str, object], reference: str, group: str, name: str
    ) -> Report:
        status = STATUSES.get(name, GROUPS.get(group, ""))
        if group not in GROUPS:
            logger.warning(
                "provider_status_unknown", extra={"provider": self.name, "status": group}
            )
        code, reason = _why(result, name, status)
        return Report(
            provider_message_id=reference,
            status=status,
            code=code,
            raw=result,
            message_id=references.message_of(reference),
            reason=reason,
            opts_out=code in OPTED_OUT,
        )

    def read_inbound(self, callback: Callback) -> list[Inbound]:
        """Return the readable messages of a callback; one that is not does not hold up the others.

        Its `keyword` is what the text begins with ("START sending the invoice to my boss"), and no reading
        of what the person wants: it stays in `raw`.

        Raises: InvalidReport when none is readable.
        """
        found = []
        for result in callback.results:
            reference, sender = result.get("messageId"), result.get("from")
            if isinstance(reference, str) and reference and isinstance(sender, str) and sender:
                found.append(
                    Inbound(
                        provider_message_id=reference,
                        sender=_e164(sender),
                        recipient=_e164(str(result.get("to") or "")),
                        text=str(result.get("text") or ""),
                        raw=result,
                    )
                )
        self._require_readable(len(found), len(callback.results))
        return found

    def _require_readable(self, readable: int, all_of_them: int) -> None:
        if all_of_them and not readable:
            raise InvalidReport("No result names a message and what it is about.")
        if readable < all_of_them:
            logger.error(
                "provider_results_unreadable",
                extra={"provider": self.name, "count": all_of_them - readable},
            )

    # --- look-up ----------------------------------------------------------------------------------

    def build_look_up(self, handed: Handed) -> Request:
        address = (self._base / "sms/3/logs").with_query(messageId=handed.reference)
        return Request(address, b"", {"Authorization": self._headers["Authorization"]}, "GET")

    def parse_look_up(self, payload: object, handed: Handed) -> list[Found]:
        """Return the log of our id; where Infobip has several, the one that says most.

        Its logs reach back 48 hours. What is no more in them proves nothing.
        """
        if not isinstance(payload, dict) or not isinstance(payload.get("results"), list):
            raise LookUpFailed("the answer lists no logs")
        found = []
        for log in _objects(payload, "results"):
            group, name = _status(log)
            if log.get("messageId") == handed.reference and name != DUPLICATE and group:
                # A status nobody knows still shows that the message is there.
                status = STATUSES.get(name, GROUPS.get(group, "SENT"))
                code, reason = _why(log, name, status)
                found.append(
                    Found(
                        provider_message_id=handed.reference,
                        status=status,
                        is_certain=True,
                        code=code,
                        reason=reason,
                        opts_out=code in OPTED_OUT,
                        raw={"group": group, "status": name, "error": _named(log, "error")},
                    )
                )
        return [max(found, key=lambda each: _ORDER.index(each.status))] if found else []


def _answers(http_status: int, payload: object) -> Iterator[tuple[object, Result]]:
    """Yield what the answer says of each message, with the id that it names."""
    for answer in _objects(payload, "messages"):
        group, name = _status(answer)
        reference = answer.get("messageId")
        if group in TAKEN and isinstance(reference, str):
            yield reference, Accepted(reference, {"status": name, "segments": _segments(answer)})
        elif name in ANSWERS and group in {"REJECTED", "UNDELIVERABLE"}:
            yield reference, ANSWERS[name]
        else:
            told = f"answered {http_status} with the status {name or 'none'}"
            yield reference, Unclear(told, name)


def _objects(payload: object, name: str) -> Iterator[Mapping[str, object]]:
    entries = payload.get(name) if isinstance(payload, dict) else None
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict):
            yield entry


def _named(entry: Mapping[str, object], what: str) -> str:
    """Return the name in the object `status` or `error` of a result; empty where there is none."""
    value = entry.get(what)
    name = value.get("name") if isinstance(value, dict) else None
    return printable(name, 64) if isinstance(name, str) else ""


def _status(entry: Mapping[str, object]) -> tuple[str, str]:
    """Return group and name of a result's status; no group where its name and number disagree."""
    status = entry.get("status")
    if not isinstance(status, dict):
        return "", ""
    group, number = status.get("groupName"), status.get("groupId")
    if not isinstance(group, str) or (
        group in GROUP_IDS and number not in {None, GROUP_IDS[group]}
    ):
        return "", _named(entry, "status")
    return printable(group, 64), _named(entry, "status")


def _why(entry: Mapping[str, object], name: str, status: ReportStatus) -> tuple[str, str]:
    """Return code and reason of a message that did not arrive; both empty where it did."""
    if status not in {"UNDELIVERED", "FAILED"}:
        return "", ""
    error = _named(entry, "error")
    code = error if error not in {"", "NO_ERROR"} else name
    if code in REASONS:
        return code, REASONS[code]
    value = entry.get("error" if code == error else "status")
    described = value.get("description") if isinstance(value, dict) else None
    return code, printable(described or "")


def _error(payload: object) -> tuple[str, str]:
    """Return code and words of an error, in the form of version 3 or in the one before."""
    answer = payload if isinstance(payload, dict) else {}
    code, words = answer.get("errorCode"), answer.get("description")
    if code is None and isinstance(answer.get("requestError"), dict):
        older = answer["requestError"].get("serviceException")
        if isinstance(older, dict):
            code, words = older.get("messageId"), older.get("text")
    return (
        printable(code, 64) if isinstance(code, str) else "",
        printable(words) if isinstance(words, str) else "",
    )


def _segments(answer: Mapping[str, object]) -> int | None:
    details = answer.get("details")
    count = details.get("messageCount") if isinstance(details, dict) else None
    return count if isinstance(count, int) and 0 < count < 1000 else None


def _e164(number: str) -> str:
    return f"+{number}" if _NUMBER.fullmatch(number) else number
