"""Handing messages to Twilio, one a request, and reading its signed delivery reports."""

import base64
import hmac
import logging
import re
from collections.abc import Mapping
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
    HTTPProvider,
    InvalidProviderURL,
    InvalidReport,
    Kind,
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
_SENDER: Final = re.compile(
    r"\+[1-9][0-9]{6,14}|[0-9]{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 +&_-]{1,11}"  # a name has a letter
)


class Twilio(HTTPProvider):
    """An account at Twilio, with a sender of its own or a messaging service.

    Twilio has no way to ask for a flash message, so it carries none.
    """

    slug: ClassVar[str] = "twilio"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"SMS", "OTP"})
    max_characters: ClassVar[int | None] = 1600

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
            "Authorization": _basic(credential),
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
        if known is None and code and status not in {401, 402, 403, 429}:
            logger.warning(
                "provider_code_unknown",
                extra={"provider": self.name, "status": status, "code": code},
            )
        return {message.id: known or self.by_status(status, code=code, words=str(words))}

    # --- delivery reports -------------------------------------------------------------------------

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
        fits = [
            hmac.compare_digest(_signature(token, url + signed), given)
            for token in self.credential.tokens
            for url in _with_and_without_port(callback.url)
        ]
        return any(fits)

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


def _basic(credential: Credential) -> str:
    login = f"{credential.account}:{credential.token}".encode()
    return f"Basic {base64.b64encode(login).decode()}"


def _code(value: object) -> str:
    """Return Twilio's error code as text; empty where it is none. "0" is none too."""
    text = str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""
    return text if re.fullmatch(r"[1-9][0-9]{0,7}", text, re.ASCII) else ""


def _metadata(answer: Mapping[str, object]) -> dict[str, object]:
    """Return what is worth keeping of an acceptance: Twilio's status and count of segments."""
    segments = str(answer.get("num_segments", ""))
    return {
        "status": printable(answer.get("status", ""), 20),
        "segments": int(segments) if re.fullmatch(r"[0-9]{1,3}", segments, re.ASCII) else None,
    }


def _signature(token: str, signed: str) -> bytes:
    return base64.b64encode(hmac.digest(token.encode(), signed.encode(), "sha1"))


def _with_and_without_port(url: str) -> list[str]:
    parts = urlsplit(url)
    host = parts.netloc.removesuffix(f":{parts.port}") if parts.port else parts.netloc
    port = parts.port or (443 if parts.scheme == "https" else 80)
    # Put together from its parts, a URL keeps every character of its path and query.
    return [urlunsplit(parts._replace(netloc=netloc)) for netloc in (host, f"{host}:{port}")]


def _body_is_the_one_in_the_url(callback: Callback) -> bool:
    said = parse_qs(urlsplit(callback.url).query).get("bodySHA256", [""])[0]
    return hmac.compare_digest(sha256(callback.body).hexdigest().encode(), said.lower().encode())
