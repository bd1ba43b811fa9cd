"""Accepting a broadcast: all or nothing, paid for, and at most once what the balance allows."""

import threading
from collections import Counter

import pytest
from django.db import connection, transaction

from accounts import roles, terms
from accounts.models import AuditEntry, Member, Organization, Terms
from billing import ledger
from contacts import number_readings
from contacts.models import Contact, NumberReading
from messaging import answers, audiences, broadcasts, classification, orders, tasks
from messaging.models import Broadcast, Message, Skip
from tests.races import patient

pytestmark = pytest.mark.usefixtures("books_balance", "memory")

EVERYONE = audiences.Everyone()


def nothing_was_written(organization: Organization) -> bool:
    balance = ledger.balance(organization.pk)
    return not (
        Broadcast.objects.exists()
        or Message.objects.exists()
        or Skip.objects.exists()
        or balance.reserved
        or balance.spent
    )


def test_it_reserves_what_the_messages_cost(acme, ana, contacts, grant, send):
    grant(acme, 10)
    contacts("+573001234567", "+573001234568")

    broadcast = send()

    assert ledger.balance(acme.pk) == ledger.Balance(available=8, reserved=2)
    assert broadcast.messages.filter(charge="RESERVED", status="QUEUED").count() == 2


def test_it_refuses_when_the_balance_does_not_cover_everybody(acme, contacts, grant, send):
    grant(acme, 2)
    contacts("+573001234567", "+573001234568", "+573001234569")

    with pytest.raises(ledger.InsufficientCredits) as refusal:
        send()

    assert (refusal.value.required, refusal.value.available, refusal.value.shortfall) == (3, 2, 1)
    assert nothing_was_written(acme)


def test_it_refuses_before_classifying_when_not_even_one_message_is_covered(acme, contacts, send):
    contacts("+573001234567")

    with pytest.raises(ledger.InsufficientCredits) as refusal:
        send(text="a" * 161)

    assert (refusal.value.required, refusal.value.available) == (2, 0)
    assert nothing_was_written(acme)


def test_beto_is_refused_until_he_accepts(acme, beto, contacts, grant, terms_in_force):
    grant(acme, 10)
    contacts("+573001234567")
    with pytest.raises(terms.TermsNotAccepted):
        broadcasts.send(member=beto, audience=EVERYONE, text="Hola")
    assert nothing_was_written(acme)

    terms.accept(member=beto, version=terms_in_force.version)

    assert broadcasts.send(member=beto, audience=EVERYONE, text="Hola").messages_total == 1


def test_new_terms_stop_ana_at_once(acme, ana, root, contacts, grant, send):
    grant(acme, 10)
    contacts("+573001234567")
    send()

    terms.publish(terms=Terms.objects.create(version="next", title="t", body="b"), member=root)

    with pytest.raises(terms.TermsNotAccepted):
        send()


@pytest.mark.parametrize("who", ["vera", "root"])
def test_viewers_and_superusers_send_nothing(request, acme, contacts, grant, who):
    grant(acme, 10)
    contacts("+573001234567")

    with pytest.raises(roles.RoleMissing):
        broadcasts.send(member=request.getfixturevalue(who), audience=EVERYONE, text="Hola")

    assert nothing_was_written(acme)


@pytest.mark.parametrize("text", ["", " \n\t", "\u200b\ufeff", "\0", "a\ud800"])
def test_texts_with_nothing_to_show_are_refused(acme, contacts, grant, send, text):
    grant(acme, 10)
    contacts("+573001234567")

    with pytest.raises(orders.TextNotAllowed):
        send(text=text)

    assert nothing_was_written(acme)


def test_the_text_is_kept_exactly_as_given(acme, contacts, grant, send):
    grant(acme, 10)
    contacts("+573001234567")

    broadcast = send(text="  Hola \u200b\n")

    broadcast.refresh_from_db()
    assert broadcast.text == "  Hola \u200b\n"


def test_a_text_over_the_providers_limit_is_refused(acme, contacts, grant, ana, settings):
    settings.SMS_PROVIDERS = [
        "twilio://AC00000000000000000000000000000000:t@api.twilio.com?from=%2B15005550006"
    ]
    grant(acme, 100)
    contacts("+573001234567")

    with pytest.raises(orders.TextTooLong):
        broadcasts.send(member=ana, audience=EVERYONE, text="a" * 1601)
    with pytest.raises(orders.KindNotCarried):
        broadcasts.send(member=ana, audience=EVERYONE, text="a", kind="FLASH")

    assert nothing_was_written(acme)


def test_a_country_the_organization_may_not_send_to_is_refused(acme, contacts, grant, send):
    grant(acme, 10)
    Organization.objects.filter(pk=acme.pk).update(allowed_countries=["CO"])

    with pytest.raises(orders.CountryNotAllowed):
        send(country="US")


@pytest.mark.parametrize(
    ("allowed", "reached"),
    [([], ["+525512345678", "+573001234567"]), (["CO", "US"], ["+573001234567"]), (["US"], [])],
)
def test_contacts_where_no_provider_goes_are_skipped(
    acme, contacts, grant, ana, settings, allowed, reached
):
    settings.SMS_PROVIDERS = ["memory://a?countries=CO", "memory://b?countries=MX"]
    grant(acme, 10)
    contacts("+573001234567", "+525512345678", "+12125550123")
    Organization.objects.filter(pk=acme.pk).update(allowed_countries=allowed)

    broadcast = broadcasts.send(member=ana, audience=EVERYONE, text="Hola")

    assert sorted(broadcast.messages.values_list("recipient", flat=True)) == reached
    assert broadcast.skipped_by_reason == {"unsupported_country": 3 - len(reached)}


def test_with_a_provider_for_everywhere_everybody_is_reached(acme, contacts, grant, ana, settings):
    settings.SMS_PROVIDERS = ["memory://a?countries=CO", "memory://b"]
    grant(acme, 10)
    contacts("+573001234567", "+12125550123")

    assert broadcasts.send(member=ana, audience=EVERYONE, text="Hola").messages_total == 2


def test_a_country_where_no_provider_goes_is_refused(acme, contacts, grant, ana, settings):
    settings.SMS_PROVIDERS = ["memory://a?countries=CO,MX"]
    grant(acme, 10)
    contacts("+573001234567")

    with pytest.raises(orders.CountryNotAllowed, match=r"US.*CO, MX"):
        broadcasts.send(member=ana, audience=EVERYONE, text="Hola", country="US")

    assert nothing_was_written(acme)


def test_an_audience_over_the_ceiling_is_refused(acme, contacts, grant, send, settings):
    settings.MAX_AUDIENCE = 2
    grant(acme, 10)
    contacts("+573001234567", "+573001234568", "123")

    with pytest.raises(orders.AudienceTooLarge):
        send()

    assert nothing_was_written(acme)


def test_it_is_audited_with_ids_and_never_with_text_or_numbers(acme, ana, contacts, grant, send):
    grant(acme, 10)
    contacts("+573001234567")

    broadcast = send(text="A secret")

    entry = AuditEntry.objects.get(act="broadcast.accepted")
    assert (entry.member_id, entry.organization_id) == (ana.pk, acme.pk)
    assert entry.subject == f"broadcast:{broadcast.pk}"
    assert "secret" not in str(entry.details)
    assert "3001234567" not in str(entry.details)


def test_a_number_that_came_in_after_the_readings_is_read_before_anything_is_kept(
    acme, contacts, grant, send, monkeypatch
):
    grant(acme, 10)
    contacts("5512345678")
    ensure = number_readings.ensure

    def ensure_and_then_somebody_adds_a_contact(**arguments):
        read = ensure(**arguments)
        if Contact.objects.count() == 1:
            contacts("5512345679")
        return read

    monkeypatch.setattr(number_readings, "ensure", ensure_and_then_somebody_adds_a_contact)

    broadcast = send(country="MX")

    assert broadcast.messages_total == 2
    assert NumberReading.objects.count() == 2
    assert Broadcast.objects.count() == 1


def test_the_answers_pages_hold_every_message_once_and_in_order(
    acme, contacts, grant, send, monkeypatch
):
    monkeypatch.setattr(answers, "PAGE", 2)
    grant(acme, 10)
    contacts(*(f"+57300123456{digit}" for digit in range(5)))
    broadcast = send()

    pages = list(answers.pages(queue_id=broadcast.pk))

    assert len(pages) == 3
    entries = [
        f'{{"id":"{message.pk}","recipient":"{message.recipient}"}}'
        for message in broadcast.messages.order_by("id")
    ]
    assert ",".join(pages) == ",".join(entries)


@pytest.mark.django_db(transaction=True)
def test_a_balance_for_one_of_twenty_broadcasts_at_once_pays_for_one(acme, ana, contacts, grant):
    grant(acme, 3)
    contacts("+573001234567", "+573001234568")
    outcomes: Counter[str] = Counter()
    start = threading.Barrier(20)

    def post() -> None:
        patient()
        start.wait()
        try:
            broadcasts.send(member=ana, audience=EVERYONE, text="Hola")
            outcomes["accepted"] += 1
        except ledger.InsufficientCredits:
            outcomes["refused"] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == {"accepted": 1, "refused": 19}
    assert Message.objects.count() == 2
    assert ledger.balance(acme.pk) == ledger.Balance(available=1, reserved=2)


@pytest.mark.django_db(transaction=True)
def test_a_right_withdrawn_meanwhile_is_noticed_before_the_credits_move(
    acme, ana, contacts, grant, monkeypatch
):
    grant(acme, 10)
    contacts("+573001234567")
    write = classification.write

    def write_while_ana_loses_her_role(**arguments):
        def demote() -> None:
            Member.objects.filter(pk=ana.pk).update(role="VIEWER")
            connection.close()

        thread = threading.Thread(target=demote)
        thread.start()
        thread.join()
        return write(**arguments)

    monkeypatch.setattr(classification, "write", write_while_ana_loses_her_role)

    with pytest.raises(roles.RoleMissing):
        broadcasts.send(member=ana, audience=EVERYONE, text="Hola")

    assert nothing_was_written(acme)


@pytest.mark.django_db(transaction=True)
def test_nothing_is_woken_for_a_broadcast_that_rolled_back(acme, ana, contacts, grant, monkeypatch):
    grant(acme, 10)
    contacts("+573001234567")
    woken = []
    monkeypatch.setattr(tasks, "try_waking", lambda *args, **_: woken.append(args))

    def send_and_break_off() -> None:
        with transaction.atomic():
            broadcasts.send(member=ana, audience=EVERYONE, text="Hola")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        send_and_break_off()

    assert not woken
    assert nothing_was_written(acme)


@pytest.mark.parametrize("phones", [["+573001234567", "0"], ["0"]], ids=["somebody", "nobody"])
def test_what_it_returns_is_what_is_kept(acme, contacts, grant, send, phones):
    grant(acme, 10)
    contacts(*phones)

    returned = vars(send())

    kept = vars(Broadcast.objects.get(pk=returned["id"]))
    fields = [field.attname for field in Broadcast._meta.concrete_fields]
    assert {name: kept[name] for name in fields} == {name: returned[name] for name in fields}
