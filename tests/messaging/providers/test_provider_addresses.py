"""`manage.py provider_addresses` prints what is to be entered at the carriers."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from messaging import providers
from messaging.providers.base import Callback

KEY = "0a1b2c3d-s3cret"


def printed() -> list[str]:
    out = StringIO()
    call_command("provider_addresses", stdout=out)
    return out.getvalue().splitlines()


def test_each_provider_has_its_address(settings: Any) -> None:
    settings.PUBLIC_URL = "https://sms.example.org"
    account = "AC" + "0a" * 16
    settings.SMS_PROVIDERS = [
        f"twilio://{account}:{KEY}@api.twilio.com?from=%2B15005550006",
        f"infobip://acme:{KEY}@x1y2z3.api.infobip.com?from=Acme",
        f"infobip://other:{KEY}@x1y2z3.api.infobip.com?from=Acme",
    ]

    twilio, acme, other = printed()

    assert twilio == f"twilio:{account}  https://sms.example.org/api/providers/twilio/inbound"
    assert acme.startswith("infobip:acme  https://sms.example.org/api/providers/infobip/inbound?")
    assert acme.split("=")[1] != other.split("=")[1]
    assert KEY not in "".join((twilio, acme, other))


def test_what_is_printed_opens_the_door(settings: Any) -> None:
    settings.SMS_PROVIDERS = [f"infobip://acme:{KEY}@x1y2z3.api.infobip.com?from=Acme"]

    address = printed()[0].split("  ")[1]

    callback = Callback(address, {}, b'{"results": []}', "application/json")
    assert providers.configured()[0].verify(callback)


def test_a_wrong_entry_is_said_without_its_secret(settings: Any) -> None:
    settings.SMS_PROVIDERS = [f"infobip://acme:{KEY}@evil.example?from=Acme"]

    with pytest.raises(CommandError, match="entry 1") as caught:
        printed()

    assert KEY not in str(caught.value)
