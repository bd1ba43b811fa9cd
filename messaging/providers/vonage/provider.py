"""Handing messages to Vonage, one a request, and reading what it tells of them.

Its Messages API, version 1 (developer.vonage.com/api/messages): `POST /v1/messages`, the webhooks
"Message Status" and "Inbound Message", and signed webhooks (…/getting-started/concepts/webhooks).

**Why not its older SMS API.** That one takes a callback's address of 100 characters at most, signs
callbacks only after a request to its support, and reports on each part of a long message by itself.

**Who sends.** API key and secret, by Basic authentication. Vonage recommends its other way, an
application's private key; with a key and secret, its callbacks go to the address of the account
(help article 360028190752), or to the one that comes with the message, as ours does.

**Why it cannot be asked.** Its Reports API finds messages by its own id, which is what a lost
answer leaves unknown, by number and by time; not by our reference. It is a product paid for by itself.
"""

import base64
import binascii
import hmac
import json
import logging
import re
from collections.abc import Mapping
from hashlib import sha256
from typing import ClassVar, Final, Self, TypeGuard
from urllib.parse import urlsplit
from uuid import UUID

from yarl import URL

from messaging.providers.base import (
    Accepted,
    Batch,
    Callback,
    Capacity,
    Credential,
    HTTPProvider,
    Inbound,
    InvalidProviderURL,
    InvalidReport,
    Kind,
    ProviderURL,
    Reply,
    Report,
    Request,
    Result,
    Unavailable,
    is_this_machine,
    printable,
)
from messaging.providers.callbacks import ReportStatus
from messaging.providers.vonage.words import (
    CODES,
    NOT_REJECTED,
    OPTED_OUT,
    PARAMETERS,
    REASONS,
    STATUSES,
)

logger = logging.getLogger(__name__)

_HOSTS: Final = re.compile(r"api(-(eu|us|ap))?\.nexmo\.com")
_ACCOUNT: Final = re.compile(r"[A-Za-z0-9]{7,16}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{6,14}")  # an international number without its +
_CODE: Final = re.compile(r"[a-z0-9-]{1,40}")


class Vonage(HTTPProvider):
    """An account at Vonage with one sender.

    Every message carries our own id as `client_ref`, and all its reports repeat it. Vonage has no way
    to ask for a flash message, documents nothing that makes a second request harmless, and finds
    no message by our reference.
    """

    slug: ClassVar[str] = "vonage"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"SMS", "OTP"})
    max_characters: ClassVar[int | None] = 3200

    def __init__(
        self,
        credential: Credential,
        capacity: Capacity | None = None,
        *,
        sender: str,
        signature_secrets: tuple[str, ...],
        base_url: URL,
    ) -> None:
        super().__init__(credential, capacity)
        self._address = base_url / "v1/messages"
        self._sender = sender.removeprefix("+")
        self._signature_secrets = signature_secrets
        self._headers = {
            "Authorization": credential.basic_login,
            "Content-Type": "application/json",
        }

    @classmethod
    def from_url(cls, url: ProviderURL) -> Self:
        credential = Credential(url.account, url.token)
        if not _ACCOUNT.fullmatch(credential.account):
            raise InvalidProviderURL(
                "the account must be the API key, of letters and digits: "
                "vonage://API_KEY:API_SECRET@api.nexmo.com"
            )
        if not credential.token:
            raise InvalidProviderURL(
                "the API secret is missing: vonage://API_KEY:API_SECRET@api.nexmo.com"
            )
        sender = url.sender()
        signature_secret = url.option("signature_secret")
        if not signature_secret:
            raise InvalidProviderURL(
                "`signature_secret` is missing: it stands beside the API key at Vonage, and tells "
                "its callbacks from anybody else's"
            )
        previous = url.option("previous_signature_secret")
        return cls(
            credential,
            url.capacity(),
            sender=sender,
            signature_secrets=(signature_secret, previous) if previous else (signature_secret,),
            base_url=url.base_url(_HOSTS),
        )

    @property
    def simulated(self) -> bool:
        return is_this_machine(self._address.host or "")

    # --- sending ----------------------------------------------------------------------------------

    def build(self, batch: Batch) -> Request:
        (message,) = batch.messages
        body = {
            "channel": "sms",
            "message_type": "text",
            "to": message.recipient.removeprefix("+"),
            "from": self._sender,
            "text": batch.text,
            "client_ref": str(message.id),
            "webhook_url": message.callback_url,
            "webhook_version": "v1",
        }
        return Request(self._address, json.dumps(body, ensure_ascii=False).encode(), self._headers)

    def parse(self, reply: Reply, payload: object, batch: Batch) -> Mapping[UUID, Result]:
        (message,) = batch.messages
        answer = payload if isinstance(payload, dict) else {}
        if 200 <= reply.status < 300:
            reference = answer.get("message_uuid")
            return {message.id: Accepted(reference)} if _is_uuid(reference) else {}
        code = _code(answer)
        # A 5xx may come after the message was taken, whatever code it carries.
        known = CODES.get(code) if 400 <= reply.status < 500 else None
        if isinstance(known, Unavailable) and known.internal:
            known = PARAMETERS.get(_blamed(answer), known)
        words = str(answer.get("detail") or answer.get("title") or "")
        return {message.id: known or self.by_status(reply.status, code=code, words=words)}

    # --- callbacks --------------------------------------------------------------------------------

    def verify(self, callback: Callback) -> bool:
        """Return whether Vonage signed the callback's body for this account, and for this door.

        A JSON web token (HS256) with the account's signature secret, which names the account and the
        SHA-256 of the body. It does not cover the address, so the body must be of the door's kind.
        Nothing is asked of its age: Vonage tries for a day, and what is read twice changes nothing.
        It says that an error of its own may make it call without a token, and that a 5xx has it call
        again; who calls so is refused like anybody else, and that report is lost.
        """
        claims = self._claims(callback.header("Authorization"))
        if (
            claims.get("iss") != "Vonage"
            or claims.get("api_key") != self.credential.account
            or not _are_equal(claims.get("payload_hash"), sha256(callback.body).hexdigest())
        ):
            return False
        body = callback.json
        is_report = isinstance(body, dict) and "status" in body
        return is_report == (urlsplit(callback.url).path.rpartition("/")[2] == "reports")

    def _claims(self, authorization: str) -> Mapping[str, object]:
        """Return what a token says that our account's secret signed; nothing of any other."""
        scheme, _, token = authorization.partition(" ")
        signed, _, given = token.strip().rpartition(".")
        header, _, claims = signed.partition(".")
        fits = [
            _are_equal(given, _base64url(hmac.digest(secret.encode(), signed.encode(), "sha256")))
            for secret in self._signature_secrets
        ]
        if scheme.lower() != "bearer" or not any(fits) or _decoded(header).get("alg") != "HS256":
            return {}
        return _decoded(claims)

    def read_reports(self, callback: Callback) -> list[Report]:
        body = callback.json if isinstance(callback.json, dict) else {}
        reference, word = body.get("message_uuid"), body.get("status")
        if not _is_reference(reference) or not isinstance(word, str) or not word:
            raise InvalidReport("The report names no message or no status.")
        if word not in STATUSES:
            logger.warning(
                "provider_status_unknown",
                extra={"provider": self.name, "status": printable(word, 40)},
            )
        told = body.get("error")
        error = told if isinstance(told, dict) else {}
        code = _code(error)
        return [
            Report(
                provider_message_id=reference,
                status=_status(word, code),
                code=code,
                raw=body,
                message_id=_our_id(body.get("client_ref")) or callback.message_id,
                reason=REASONS.get(code, "") or printable(error.get("detail") or ""),
                opts_out=code == OPTED_OUT,
            )
        ]

    def read_inbound(self, callback: Callback) -> list[Inbound]:
        """Return the message of a callback.

        Its keyword is no more than the first word of the text: Vonage acts on none, so we read it.
        """
        body = callback.json if isinstance(callback.json, dict) else {}
        reference, sender, text = (body.get(name) for name in ("message_uuid", "from", "text"))
        if (
            not _is_reference(reference)
            or not isinstance(sender, str)
            or not sender
            or not isinstance(text, str)
            or body.get("channel") not in {"sms", "mms"}
        ):
            raise InvalidReport("The message names no id, no sender or no text.")
        return [
            Inbound(
                provider_message_id=reference,
                sender=_e164(sender),
                recipient=_e164(str(body.get("to") or "")),
                text=text,
                raw=body,
            )
        ]


def _status(word: str, code: str) -> ReportStatus:
    status = STATUSES.get(word, "")
    if status != "UNDELIVERED":
        return status
    return NOT_REJECTED.get(code, "FAILED" if code in CODES else status)


def _code(error: Mapping[str, object]) -> str:
    """Return the code of an error: what its `type` points at, or its title where that is a number."""
    code = str(error.get("type") or "").rpartition("#")[2]
    title = str(error.get("title") or "")
    if not _CODE.fullmatch(code):
        code = title if title.isdecimal() else ""
    return code if _CODE.fullmatch(code) else ""


def _blamed(answer: Mapping[str, object]) -> str:
    """Return the one parameter that an error blames; empty where it blames none, or several."""
    listed = answer.get("invalid_parameters")
    entries = listed if isinstance(listed, list) else []
    names = {str(entry.get("name")) for entry in entries if isinstance(entry, dict)}
    return names.pop() if len(names) == 1 else ""


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(part: str) -> Mapping[str, object]:
    """Return the object in a part of a token; an empty one where there is none."""
    try:
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, RecursionError, binascii.Error):
        return {}
    return found if isinstance(found, dict) else {}


def _are_equal(given: object, expected: str) -> bool:
    return isinstance(given, str) and hmac.compare_digest(
        given.encode(errors="replace"), expected.encode()
    )


def _is_uuid(reference: object) -> TypeGuard[str]:
    try:
        return isinstance(reference, str) and len(reference) == 36 and bool(UUID(reference))
    except ValueError:
        return False


def _is_reference(reference: object) -> TypeGuard[str]:
    """Return whether it may be an id in a callback. It need be no UUID: a status is worth more."""
    return isinstance(reference, str) and 0 < len(reference) <= 200


def _our_id(reference: object) -> UUID | None:
    """Return the id of our message, written as we write it: others use the account too."""
    return UUID(reference) if _is_uuid(reference) else None


def _e164(number: str) -> str:
    return f"+{number}" if _NUMBER.fullmatch(number) else number
