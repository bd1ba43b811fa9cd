"""The providers of SMS_PROVIDERS: read, chosen, refused in words, never with a secret."""

import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging import providers
from messaging.providers import registry
from messaging.providers.base import InvalidProviderURL
from messaging.providers.credentials import ProviderURL
from messaging.providers.memory import Memory
from messaging.providers.twilio import Twilio

ACCOUNT = "AC" + "0a" * 16
SECRET = "t0ken-0f-acme"
GOOD = f"twilio://{ACCOUNT}:{SECRET}@api.twilio.com?from=%2B15005550006"


@pytest.fixture(autouse=True)
def _development(settings: Any) -> None:
    settings.PRODUCTION = False


def test_a_whole_url_is_read(settings: Any) -> None:
    settings.SMS_PROVIDERS = [
        GOOD + "&rate=12.5&concurrency=100&previous_token=old&base_url=http://127.0.0.1:9000"
    ]

    (provider,) = providers.configured()

    assert isinstance(provider, Twilio)
    assert provider.name == f"twilio:{ACCOUNT}"
    assert (provider.rate, provider.concurrency) == (12.5, 100)
    assert provider.credential.tokens == (SECRET, "old")
    assert provider.simulated


def test_what_is_left_out_has_a_default(settings: Any) -> None:
    settings.SMS_PROVIDERS = [GOOD]

    (provider,) = providers.configured()

    assert (provider.rate, provider.concurrency) == (None, 50)
    assert not provider.simulated


def test_a_percent_encoded_token_is_read(settings: Any) -> None:
    settings.SMS_PROVIDERS = [GOOD.replace(SECRET, "a%2Fb%40c%3Ad%25")]

    assert providers.configured()[0].credential.token == "a/b@c:d%"


def test_the_same_objects_come_every_time(settings: Any) -> None:
    settings.SMS_PROVIDERS = ["memory://one", GOOD]

    first, again = providers.configured(), providers.configured()

    assert all(a is b for a, b in zip(first, again, strict=True))
    assert first is not again


def test_the_first_that_carries_it_is_chosen(settings: Any) -> None:
    settings.SMS_PROVIDERS = [GOOD, "console://"]

    assert providers.choose(kind="SMS").name == f"twilio:{ACCOUNT}"
    assert providers.choose(kind="FLASH").name == "console:local"


def test_a_kind_nobody_carries_is_said(settings: Any) -> None:
    settings.SMS_PROVIDERS = [GOOD]

    with pytest.raises(providers.NoProvider, match="FLASH"):
        providers.choose(kind="FLASH")
    with pytest.raises(providers.NoProvider, match="FLASH"):
        providers.limits("FLASH")


def test_the_smallest_limit_of_those_that_carry_it_holds(settings: Any) -> None:
    settings.SMS_PROVIDERS = ["memory://one"]
    assert providers.limits("SMS") == providers.Limits(None, None)

    settings.SMS_PROVIDERS = ["memory://one", GOOD]
    assert providers.limits("SMS") == providers.Limits(1600, None)
    assert providers.limits("FLASH") == providers.Limits(None, None)


def test_all_credentials_of_a_carrier_are_found(settings: Any) -> None:
    other = GOOD.replace("0a", "0b")
    settings.SMS_PROVIDERS = [GOOD, "memory://one", other]

    assert [p.credential.account for p in providers.by_slug("twilio")] == [
        ACCOUNT,
        ACCOUNT.replace("0a", "0b"),
    ]
    assert providers.by_slug("nobody") == []


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"{ACCOUNT}:{SECRET}@api.twilio.com", "begin with the name"),
        (
            f"pigeon://{ACCOUNT}:{SECRET}@post",
            "no such provider; there are console, memory, twilio",
        ),
        (GOOD.replace(SECRET, ""), "token is missing"),
        (GOOD.replace(ACCOUNT, "ACME"), "32 hexadecimal digits"),
        (GOOD.partition("?")[0], "needs a sender"),
        (f"{GOOD}&messaging_service=MG{'0' * 32}", "needs a sender"),
        (GOOD.replace("%2B1500", "+1500"), "`from` must be"),
        (GOOD.replace("from=%2B15005550006", "messaging_service=MG1"), "`messaging_service`"),
        (f"{GOOD}&rate=0", "`rate`"),
        (f"{GOOD}&rate=nan", "`rate`"),
        (f"{GOOD}&rate=fast", "`rate`"),
        (f"{GOOD}&concurrency=0", "`concurrency`"),
        (f"{GOOD}&concurrency=1.5", "`concurrency`"),
        (f"{GOOD}&countries=co", "`countries`"),
        (f"{GOOD}&countries=CO,COL", "`countries`"),
        (f"{GOOD}&countries=CO;MX", "`countries`"),
        (f"{GOOD}&weight=0", "`weight`"),
        (f"{GOOD}&weight=2.5", "`weight`"),
        (f"{GOOD}&ratte=1", "does not know: ratte"),
        (f"{GOOD}&rate=1&rate=2", "twice"),
        (GOOD.replace("api.twilio.com", "evil.example"), "not one of the provider's"),
        (
            GOOD.replace("api.twilio.com", "api.twilio.com.evil.example"),
            "not one of the provider's",
        ),
        (GOOD.replace("api.twilio.com", ""), "no address"),
        (f"{GOOD}&base_url=http://169.254.169.254", "not one of the provider's"),
        (f"{GOOD}&base_url=http://api.twilio.com", "not one of the provider's"),
        (f"{GOOD}&base_url=http://[::ffff:169.254.169.254]", "not one of the provider's"),
        (f"{GOOD}&base_url=file:///etc/passwd", "host and port alone"),
        (f"{GOOD}&base_url=ftp://127.0.0.1", "not one of the provider's"),
        (f"{GOOD}&base_url=http://{SECRET}@127.0.0.1", "host and port alone"),
        (f"{GOOD}&base_url=nonsense", "host and port alone"),
        (GOOD.replace(SECRET, f"a/{SECRET}"), "percent-encode"),
        (GOOD.replace(SECRET, f"a#{SECRET}"), "percent-encode"),
        (f"twilio://{ACCOUNT}:{SECRET}@[api.twilio.com?from=1", "cannot be read"),
        (f"twilio://{ACCOUNT}@api.twilio.com:{SECRET}?from=1", "cannot be read"),
    ],
)
def test_a_wrong_url_is_refused_in_words_without_its_secret(
    settings: Any, url: str, said: str
) -> None:
    settings.SMS_PROVIDERS = ["memory://one", url]

    with pytest.raises(InvalidProviderURL, match=r"SMS_PROVIDERS, entry 2: ") as caught:
        providers.configured()

    assert said in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value)


def test_what_could_not_be_read_is_not_repeated_by_its_cause() -> None:
    with pytest.raises(InvalidProviderURL) as caught:
        ProviderURL.parse(f"twilio://{ACCOUNT}@api.twilio.com:{SECRET}", production=False)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_one_account_stands_in_one_entry(settings: Any) -> None:
    settings.SMS_PROVIDERS = [GOOD, GOOD]

    with pytest.raises(InvalidProviderURL, match=r"entry 2: its account stands in an earlier"):
        providers.configured()


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost", "[::1]:9000"])
def test_this_machine_stands_in_for_a_carrier_outside_production_only(
    settings: Any, host: str
) -> None:
    settings.SMS_PROVIDERS = [f"{GOOD}&base_url=http://{host}"]
    assert providers.configured()[0].simulated

    settings.PRODUCTION = True
    with pytest.raises(InvalidProviderURL, match="outside production only"):
        providers.configured()


@pytest.mark.parametrize(
    "host", ["api.twilio.com", "api.ie1.twilio.com", "api.sydney.au1.twilio.com"]
)
def test_every_region_of_the_carrier_may_be_called(settings: Any, host: str) -> None:
    settings.PRODUCTION = True
    settings.SMS_PROVIDERS = [GOOD.replace("api.twilio.com", host)]

    assert not providers.configured()[0].simulated


def test_nothing_of_a_url_shows_in_what_is_read_from_it() -> None:
    url = ProviderURL.parse(f"{GOOD}&previous_token={SECRET}", production=False)

    assert SECRET not in repr(url)
    assert SECRET not in repr(Twilio.from_url(url))
    assert SECRET not in str(registry.PROVIDERS)


@given(st.text(max_size=80) | st.text(max_size=60).map(lambda tail: f"memory://x?{tail}"))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    try:
        provider = registry._provider(
            text, production=False, taken=()
        )  # past the cache, which would keep all of them
    except InvalidProviderURL:
        return
    assert isinstance(provider, Memory)
