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
from messaging.providers.infobip import Infobip
from messaging.providers.memory import Memory
from messaging.providers.twilio import Twilio
from messaging.providers.vonage import Vonage

ACCOUNT = "AC" + "0a" * 16
SECRET = "t0ken-0f-acme"
INFOBIP = f"infobip://acme:{SECRET}@x1y2z3.api.infobip.com?from=Acme"
VONAGE = f"vonage://a1b2c3d4:{SECRET}@api.nexmo.com?from=Acme&signature_secret=si%2Bgn-{SECRET}"
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
    assert (provider.weight, provider.countries) == (1, frozenset())
    assert not provider.simulated


def test_a_percent_encoded_token_is_read(settings: Any) -> None:
    settings.SMS_PROVIDERS = [GOOD.replace(SECRET, "a%2Fb%40c%3Ad%25")]

    assert providers.configured()[0].credential.token == "a/b@c:d%"


def test_the_same_objects_come_every_time(settings: Any) -> None:
    settings.SMS_PROVIDERS = ["memory://one", GOOD]

    first, again = providers.configured(), providers.configured()

    assert all(a is b for a, b in zip(first, again, strict=True))
    assert first is not again


def test_all_that_carry_it_there_are_candidates_in_their_order(settings: Any) -> None:
    settings.SMS_PROVIDERS = [f"{GOOD}&countries=CO,MX", INFOBIP, "console://?countries=MX"]

    def names(**wanted: str) -> list[str]:
        return [provider.slug for provider in providers.candidates(**wanted)]

    assert names(kind="SMS") == ["twilio", "infobip", "console"]
    assert names(kind="SMS", country="CO") == ["twilio", "infobip"]
    assert names(kind="SMS", country="MX") == ["twilio", "infobip", "console"]
    assert names(kind="SMS", country="ZZ") == ["infobip"]
    assert names(kind="FLASH", country="MX") == ["infobip", "console"]


def test_a_country_nobody_carries_to_is_said(settings: Any) -> None:
    settings.SMS_PROVIDERS = [f"{GOOD}&countries=CO,MX"]

    with pytest.raises(providers.NoProvider, match="carries SMS to US"):
        providers.candidates(kind="SMS", country="US")
    with pytest.raises(providers.NoProvider, match="carries FLASH"):
        providers.candidates(kind="FLASH", country="CO")


def test_the_countries_of_a_kind_are_those_of_all_its_providers(settings: Any) -> None:
    settings.SMS_PROVIDERS = [f"{GOOD}&countries=CO,MX", f"{INFOBIP}&countries=PE"]
    assert providers.countries("SMS") == frozenset({"CO", "MX", "PE"})
    assert providers.countries("FLASH") == frozenset({"PE"})

    settings.SMS_PROVIDERS = [f"{GOOD}&countries=CO,MX", INFOBIP]
    assert providers.countries("SMS") is None
    with pytest.raises(providers.NoProvider):
        providers.countries("PIGEON")


def test_a_provider_is_found_by_its_name_while_it_stands_there(settings: Any) -> None:
    settings.SMS_PROVIDERS = [GOOD, INFOBIP]

    assert providers.by_name("infobip:acme") is providers.configured()[1]
    assert providers.by_name("infobip") is None
    assert providers.by_name("infobip:carla") is None


def test_an_entry_of_infobip_is_read(settings: Any) -> None:
    settings.PRODUCTION = True
    settings.SMS_PROVIDERS = [f"{INFOBIP}&weight=3&countries=CO,%20MX&rate=50"]

    (provider,) = providers.configured()

    assert isinstance(provider, Infobip)
    assert provider.name == "infobip:acme"
    assert (provider.weight, provider.countries) == (3, frozenset({"CO", "MX"}))
    assert (provider.rate, provider.max_batch) == (50, 100)
    assert not provider.simulated


def test_an_entry_of_vonage_is_read(settings: Any) -> None:
    settings.PRODUCTION = True
    settings.SMS_PROVIDERS = [f"{VONAGE}&previous_signature_secret=old&rate=30"]

    (provider,) = providers.configured()

    assert isinstance(provider, Vonage)
    assert provider.name == "vonage:a1b2c3d4"
    assert provider.credential.token == SECRET
    assert (provider.rate, provider.max_batch, provider.lookup) == (30, 1, False)
    assert not provider.simulated


def test_a_kind_nobody_carries_is_said(settings: Any) -> None:
    settings.SMS_PROVIDERS = [GOOD]

    with pytest.raises(providers.NoProvider, match="FLASH"):
        providers.candidates(kind="FLASH")
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
            "no such provider; there are console, infobip, memory, twilio, vonage",
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
        (f"{GOOD}&countries=CO,XX", "`countries`"),
        (f"{GOOD}&countries=57", "`countries`"),
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
        (INFOBIP.replace("acme", ""), "account must be a name"),
        (INFOBIP.replace("acme", "ac%20me"), "account must be a name"),
        (INFOBIP.replace(f":{SECRET}", ""), "API key is missing"),
        (INFOBIP.partition("?")[0], "needs a sender"),
        (INFOBIP.replace("Acme", "Acme%20y%20compania"), "needs a sender"),
        (INFOBIP.replace("from=Acme", "from=12"), "needs a sender"),
        (f"{INFOBIP}&previous_token={SECRET}", "does not know: previous_token"),
        (INFOBIP.replace("api.infobip.com", "api.infobip.com.evil.example"), "not one of the"),
        (INFOBIP.replace("x1y2z3.", "a.b."), "not one of the provider's"),
        (INFOBIP.replace("x1y2z3.api", "evil"), "not one of the provider's"),
        (f"{INFOBIP}&base_url=http://10.0.0.1", "not one of the provider's"),
        (VONAGE.replace("a1b2c3d4", ""), "account must be the API key"),
        (VONAGE.replace("a1b2c3d4", "a1-b2"), "account must be the API key"),
        (VONAGE.replace(f":{SECRET}@", "@"), "API secret is missing"),
        (VONAGE.replace("from=Acme&", ""), "needs a sender"),
        (VONAGE.partition("&")[0], "`signature_secret` is missing"),
        (f"{VONAGE}&previous_token={SECRET}", "does not know: previous_token"),
        (VONAGE.replace("api.nexmo.com", "rest.nexmo.com"), "not one of the provider's"),
        (
            VONAGE.replace("api.nexmo.com", "api.nexmo.com.evil.example"),
            "not one of the provider's",
        ),
        (VONAGE.replace("api.nexmo", "api-evil.nexmo"), "not one of the provider's"),
        (f"{VONAGE}&base_url=http://10.0.0.1", "not one of the provider's"),
        (f"twilio://{ACCOUNT}:{SECRET}@[api.twilio.com?from=1", "cannot be read"),
        (f"twilio://{ACCOUNT}@api.twilio.com:{SECRET}?from=1", "cannot be read"),
    ],
)
def test_S66_a_wrong_url_is_refused_in_words_without_its_secret(
    settings: Any, url: str, said: str
) -> None:
    settings.SMS_PROVIDERS = ["memory://one", url]

    with pytest.raises(InvalidProviderURL, match=r"SMS_PROVIDERS, entry 2: ") as caught:
        providers.configured()

    assert said in str(caught.value)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in repr(caught.value)


def test_S66_what_could_not_be_read_is_not_repeated_by_its_cause() -> None:
    with pytest.raises(InvalidProviderURL) as caught:
        ProviderURL.parse(f"twilio://{ACCOUNT}@api.twilio.com:{SECRET}", production=False)

    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_one_account_stands_in_one_entry(settings: Any) -> None:
    settings.SMS_PROVIDERS = [GOOD, GOOD]

    with pytest.raises(InvalidProviderURL, match=r"entry 2: its account stands in an earlier"):
        providers.configured()


@pytest.mark.parametrize("host", ["127.0.0.1:9000", "localhost", "[::1]:9000"])
def test_S65_this_machine_stands_in_for_a_carrier_outside_production_only(
    settings: Any, host: str
) -> None:
    for url in (GOOD, INFOBIP, VONAGE):
        settings.PRODUCTION = False
        settings.SMS_PROVIDERS = [f"{url}&base_url=http://{host}"]
        assert providers.configured()[0].simulated

        settings.PRODUCTION = True
        with pytest.raises(InvalidProviderURL, match="outside production only"):
            providers.configured()


@pytest.mark.parametrize(
    "url",
    [
        *(
            GOOD.replace("api.twilio.com", host)
            for host in ("api.twilio.com", "api.ie1.twilio.com", "api.sydney.au1.twilio.com")
        ),
        *(VONAGE.replace("@api.", f"@{host}.") for host in ("api", "api-eu", "api-us", "api-ap")),
    ],
)
def test_S65_every_region_of_the_carrier_may_be_called(settings: Any, url: str) -> None:
    settings.PRODUCTION = True
    settings.SMS_PROVIDERS = [url]

    assert not providers.configured()[0].simulated


def test_S66_nothing_of_a_url_shows_in_what_is_read_from_it() -> None:
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
