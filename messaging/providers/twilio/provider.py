"""Handing messages to Twilio, one a request, and reading what it tells of them.

From its documentation: the Message resource (twilio.com/docs/messaging/api/message-resource), the
status callback (…/messaging/guides/track-outbound-message-status), incoming messages
(…/messaging/guides/webhook-request) and webhook security (…/usage/webhooks/webhooks-security).
"""

import base64
import hmac
import logging
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import ClassVar, Final, Self
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit
from uuid import UUID

from yarl import URL

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
    is_this_machine,
    printable,
)
from messaging.providers.twilio.words import CODES, OPTED_OUT, REASONS, STATUSES

logger = logging.getLogger(__name__)

_HOSTS: Final = re.compile(r"api(\.[a-z0-9-]+){0,2}\.twilio\.com")  # its regions and edges too
_ACCOUNT: Final = re.compile(r"AC[0-9a-fA-F]{32}")
_SERVICE: Final = re.compile(r"MG[0-9a-fA-F]{32}")
_MESSAGE: Final = re.compile(r"(SM|MM)[0-9a-fA-F]{32}")
_KEYWORDS: Final = frozenset({"STOP", "START", "HELP"})
_AROUND: Final = timedelta(minutes=5)  # how far its clock and ours may be apart for a look-up
_PAGE: Final = 50  # messages of a look-up; with 1600 characters each well below what is read
_SENDER: Final = re.compile(
    r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 +&_-]{1,11}"  # a name has a letter
)


class Twilio(HTTPProvider):
    """An account at Twilio, with a sender of its own or a messaging service.

    Twilio has no way to ask for a flash message, so it carries none. It knows no key that makes a
    second request harmless, and keeps no reference of ours: a message is found again by its number,
    text, sender and moment alone.
    """

    slug: ClassVar[str] = "twilio"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"SMS", "OTP"})
    max_characters: ClassVar[int | None] = 1600
    lookup: ClassVar[bool] = True

    def __init__(
        self,
        credential: Credential,
        capacity: Capacity | None = None,
        *,
        sender: str = "",
        messaging_service: str = "",
        base_url: URL,
    ) -> None:
        super().__init__(credential, capacity)
        self._address = base_url / "2010-04-01/Accounts" / credential.account / "Messages.json"
        self._sender = (
            ("MessagingServiceSid", messaging_service) if messaging_service else ("From", sender)
        )
        self._headers = {
            "Authorization": credential.basic_login,
            "Content-Type": "application/x-www-form-urlencoded",
        }

    @classmethod
    def from_url(cls, url: ProviderURL) -> Self:
        credential = Credential(url.account, url.token, url.option("previous_token"))
        if not _ACCOUNT.fullmatch(credential.account):
            raise InvalidProviderURL("the account must be the SID: AC and 32 hexadecimal digits")
        if not credential.token:
            raise InvalidProviderURL("the auth token is missing: twilio://ACCOUNT_SID:AUTH_TOKEN@…")
        sender, service = url.option("from"), url.option("messaging_service")
        if bool(sender) == bool(service):
            raise InvalidProviderURL(
                "it needs a sender: either `from` (a number as %2B15005550006, a short code or a "
                "name) or `messaging_service`"
            )
        if sender and not _SENDER.fullmatch(sender):
            raise InvalidProviderURL(
                "`from` must be a number in E.164 (write + as %2B), a short code or a name of at "
                "most 11 characters"
            )
        if service and not _SERVICE.fullmatch(service):
            raise InvalidProviderURL("`messaging_service` must be MG and 32 hexadecimal digits")
        return cls(
            credential,
            url.capacity(),
            sender=sender,
            messaging_service=service,
            base_url=url.base_url(_HOSTS),
        )

    @property
    def simulated(self) -> bool:
        return is_this_machine(self._address.host or "")

    # --- sending ----------------------------------------------------------------------------------

    def build(self, batch: Batch) -> Request:
        (message,) = batch.messages
        fields = (
            ("To", message.recipient),
            self._sender,
            ("Body", batch.text),
            ("StatusCallback", message.callback_url),
        )
        return Request(self._address, urlencode(fields).encode(), self._headers)

    def parse(self, reply: Reply, payload: object, batch: Batch) -> Mapping[UUID, Result]:
        (message,) = batch.messages
        status = reply.status
        answer = payload if isinstance(payload, dict) else {}
        if 200 <= status < 300:
            sid = answer.get("sid")
            if not isinstance(sid, str) or not _MESSAGE.fullmatch(sid):
                return {}
            return {message.id: Accepted(sid, _metadata(answer))}
        code = _code(answer.get("code"))
        words = answer.get("message", "")
        # A 5xx may come after the message was taken, whatever code it carries.
        known = CODES.get(code) if 400 <= status < 500 else None
        return {message.id: known or self.by_status(status, code=code, words=str(words))}

    # --- callbacks --------------------------------------------------------------------------------

    def verify(self, callback: Callback) -> bool:
        """Return whether Twilio signed the callback with this account's token.

        HMAC-SHA1 over the URL and the form's names and values, sorted, each pair once
        (twilio.com/docs/usage/webhooks/webhooks-security). Twilio sometimes signs the URL with its
        port and sometimes without. A body that is no form counts by its SHA-256 in the URL.
        """
        given = callback.header("X-Twilio-Signature").encode(errors="replace")
        if not given:
            return False
        if callback.is_form:
            signed = "".join(name + value for name, value in sorted(set(callback.pairs)))
        elif _body_is_the_one_in_the_url(callback):
            signed = ""
        else:
            return False
        # The first that fits ends it: what fits in vain takes as long as ever, and a second signature
        # of a request that is believed would tell nobody anything.
        return any(
            hmac.compare_digest(_signature(token, url + signed), given)
            for url in _with_and_without_port(callback.url)
            for token in self.credential.tokens
        )

    def read_reports(self, callback: Callback) -> list[Report]:
        form = callback.form
        sid, word = form.get("MessageSid", ""), form.get("MessageStatus", "").lower()
        if not _MESSAGE.fullmatch(sid) or not word:
            raise InvalidReport("The report names no message or no status.")
        if word not in STATUSES:
            logger.warning(
                "provider_status_unknown",
                extra={"provider": self.name, "status": printable(word, 40)},
            )
        code = _code(form.get("ErrorCode"))
        return [
            Report(
                provider_message_id=sid,
                status=STATUSES.get(word, ""),
                code=code,
                raw=form,
                message_id=callback.message_id,
                reason=REASONS.get(code, ""),
                opts_out=code == OPTED_OUT,
            )
        ]

    def read_inbound(self, callback: Callback) -> list[Inbound]:
        form = callback.form
        sid, sender = form.get("MessageSid", ""), form.get("From", "")
        if not _MESSAGE.fullmatch(sid) or not sender or "Body" not in form:
            raise InvalidReport("The message names no id, no sender or no text.")
        keyword = form.get("OptOutType", "").upper()
        return [
            Inbound(
                provider_message_id=sid,
                sender=sender,
                recipient=form.get("To", ""),
                text=form.get("Body", ""),
                raw=form,
                keyword=keyword if keyword in _KEYWORDS else "",
            )
        ]

    # --- look-up ----------------------------------------------------------------------------------

    def build_look_up(self, handed: Handed) -> Request:
        since = (handed.submitted_at.astimezone(UTC) - _AROUND).date()
        address = self._address.with_query(
            {"To": handed.recipient, "DateSent>": since.isoformat(), "PageSize": str(_PAGE)}
        )
        return Request(address, b"", {"Authorization": self._headers["Authorization"]}, "GET")

    def parse_look_up(self, payload: object, handed: Handed) -> list[Found]:
        """Return every message with this number, text and sender of about this moment.

        Two people may send the same text to one number within minutes, so none is certain. A list
        that does not end on its first page could hide the second of them: it tells nothing.
        """
        page = payload if isinstance(payload, dict) else {}
        messages = page.get("messages")
        if not isinstance(messages, list):
            raise LookUpFailed("the answer lists no messages")
        if page.get("next_page_uri"):
            raise LookUpFailed(f"the number got over {_PAGE} messages, too many to tell apart")
        found = []
        for message in messages:
            if isinstance(message, dict) and self._may_be(message, handed):
                word, code = str(message.get("status")), _code(message.get("error_code"))
                found.append(
                    Found(
                        provider_message_id=message["sid"],
                        # Twilio has it, so it took it, whatever it says of it now.
                        status=STATUSES.get(word, "") or "SENT",
                        is_certain=False,
                        code=code,
                        reason=REASONS.get(code, ""),
                        opts_out=code == OPTED_OUT,
                        raw={"status": printable(word, 20), "error_code": code},
                    )
                )
        return found

    def _may_be(self, message: Mapping[str, object], handed: Handed) -> bool:
        sid, (field, sender) = message.get("sid"), self._sender
        theirs = message.get("from" if field == "From" else "messaging_service_sid")
        return (
            isinstance(sid, str)
            and _MESSAGE.fullmatch(sid) is not None
            and message.get("direction") == "outbound-api"
            and (message.get("to"), message.get("body")) == (handed.recipient, handed.text)
            and theirs == sender
            and _is_about(message.get("date_created"), handed.submitted_at)
        )


def _is_about(date: object, moment: datetime) -> bool:
    """Return whether an RFC 2822 date, as Twilio writes them, is within minutes of a moment."""
    try:
        read = parsedate_to_datetime(str(date))
    except (ValueError, OverflowError):
        return False
    read = read if read.tzinfo else read.replace(tzinfo=UTC)
    return abs(read - moment) <= _AROUND


def _code(value: object) -> str:
    """Return Twilio's error code as text; empty where it is none. "0" is none too."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if re.fullmatch(r"[1-9][0-9]{0,7}", text, re.ASCII) else ""


def _metadata(answer: Mapping[str, object]) -> dict[str, object]:
    """Return what is worth keeping of an acceptance: Twilio's status and count of segments.

    A messaging service counts them later and says 0 until then, which is no count.
    """
    segments = str(answer.get("num_segments", ""))
    return {
        "status": printable(answer.get("status", ""), 20),
        "segments": int(segments) if re.fullmatch(r"[1-9][0-9]{0,2}", segments, re.ASCII) else None,
    }


def _signature(token: str, signed: str) -> bytes:
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha1"))


def _with_and_without_port(url: str) -> Iterator[str]:
    """Yield the URL as it stands, which mostly is as Twilio signs it, then the other way."""
    yield url
    parts = urlsplit(url)
    host = parts.netloc.removesuffix(f":{parts.port}") if parts.port else parts.netloc
    port = parts.port or (443 if parts.scheme == "https" else 80)
    # Put together from its parts, a URL keeps every character of its path and query.
    yield urlunsplit(parts._replace(netloc=host if parts.port else f"{host}:{port}"))


def _body_is_the_one_in_the_url(callback: Callback) -> bool:
    said = parse_qs(urlsplit(callback.url).query).get("bodySHA256", [""])[0]
    return hmac.compare_digest(sha256(callback.body).hexdigest().encode(), said.lower().encode())
