"""What each movement does to a balance, alone."""

import itertools
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import transaction

from accounts.models import AuditEntry, Member, Organization
from accounts.roles import RoleMissing
from billing import ledger
from billing.ledger import Balance, InsufficientCredits, InvalidAmount, NotReserved
from billing.models import CreditAccount, LedgerEntry

pytestmark = pytest.mark.django_db


def test_a_grant_makes_credits_available(acme: Organization, root: Member) -> None:
    moved = ledger.grant(organization=acme, amount=500, member=root, note="Invoice 17")

    assert moved
    assert ledger.balance(acme.pk) == Balance(available=500, reserved=0, spent=0)


def test_a_grant_makes_the_account_that_is_missing(acme: Organization, root: Member) -> None:
    assert not CreditAccount.objects.filter(organization=acme).exists()

    ledger.grant(organization=acme, amount=1, member=root, note="")

    assert CreditAccount.objects.get(organization=acme).available == 1


def test_two_grants_without_a_reference_both_count(acme: Organization, root: Member) -> None:
    ledger.grant(organization=acme, amount=5, member=root, note="")
    ledger.grant(organization=acme, amount=5, member=root, note="")

    assert ledger.balance(acme.pk).available == 10


def test_a_grant_says_who_made_it_and_why(acme: Organization, root: Member) -> None:
    ledger.grant(
        organization=acme,
        amount=7,
        member=root,
        note="Trial",
        reference="grant:trial",
        address="192.0.2.7",
    )

    entry = LedgerEntry.objects.get(account__organization=acme)
    assert (entry.kind, entry.amount, entry.member, entry.note) == ("GRANT", 7, root, "Trial")
    audited = AuditEntry.objects.get(act="credits.granted")
    assert audited.member == root
    assert audited.organization == acme
    assert audited.subject == f"organization:{acme.pk}"
    assert audited.details == {"amount": 7, "reference": "grant:trial"}
    assert audited.address == "192.0.2.7"


def test_a_repeated_grant_moves_nothing_and_is_not_audited_again(
    acme: Organization, root: Member
) -> None:
    for expected in (True, False):
        moved = ledger.grant(organization=acme, amount=7, member=root, note="", reference="grant:1")
        assert moved is expected

    assert ledger.balance(acme.pk).available == 7
    assert AuditEntry.objects.filter(act="credits.granted").count() == 1


def test_nobody_of_an_organization_grants_to_it(acme: Organization, ana: Member) -> None:
    with pytest.raises(RoleMissing):
        ledger.grant(organization=acme, amount=7, member=ana, note="")

    assert not CreditAccount.objects.filter(organization=acme).exists()


def test_a_deactivated_superuser_grants_nothing(acme: Organization, root: Member) -> None:
    root.is_active = False

    with pytest.raises(RoleMissing):
        ledger.grant(organization=acme, amount=7, member=root, note="")


@pytest.mark.parametrize("amount", [1, 10**12])
def test_the_limits_of_a_grant_are_granted(acme: Organization, root: Member, amount: int) -> None:
    ledger.grant(organization=acme, amount=amount, member=root, note="")

    assert ledger.balance(acme.pk).available == amount


def test_a_reserve_holds_available_credits(acme: Organization, root: Member) -> None:
    ledger.grant(organization=acme, amount=500, member=root, note="")

    moved = ledger.reserve(organization_id=acme.pk, amount=142, reference="broadcast:1")

    assert moved
    assert ledger.balance(acme.pk) == Balance(available=358, reserved=142, spent=0)


def test_the_last_credit_can_be_reserved(acme: Organization, root: Member) -> None:
    ledger.grant(organization=acme, amount=142, member=root, note="")

    ledger.reserve(organization_id=acme.pk, amount=142, reference="broadcast:1")

    assert ledger.balance(acme.pk) == Balance(available=0, reserved=142, spent=0)


def test_too_few_credits_are_refused_with_the_real_numbers(
    acme: Organization, root: Member
) -> None:
    ledger.grant(organization=acme, amount=100, member=root, note="")
    ledger.reserve(organization_id=acme.pk, amount=40, reference="broadcast:1")

    with pytest.raises(InsufficientCredits) as refusal:
        ledger.reserve(organization_id=acme.pk, amount=142, reference="broadcast:2")

    assert (refusal.value.required, refusal.value.available, refusal.value.shortfall) == (
        142,
        60,
        82,
    )
    for number in ("142", "60", "82"):
        assert number in str(refusal.value)
    assert ledger.balance(acme.pk) == Balance(available=60, reserved=40, spent=0)
    assert not LedgerEntry.objects.filter(reference="broadcast:2").exists()


def test_an_organization_without_an_account_has_nothing_available(acme: Organization) -> None:
    with pytest.raises(InsufficientCredits) as refusal:
        ledger.reserve(organization_id=acme.pk, amount=3, reference="broadcast:1")

    assert (refusal.value.required, refusal.value.available, refusal.value.shortfall) == (3, 0, 3)


def test_one_credit_too_few_is_said_in_the_singular(acme: Organization) -> None:
    with pytest.raises(
        InsufficientCredits, match="costs 1 credit and 0 are available: 1 is missing"
    ):
        ledger.reserve(organization_id=acme.pk, amount=1, reference="broadcast:1")


def test_a_refusal_takes_the_callers_rows_with_it(acme: Organization) -> None:
    @transaction.atomic
    def accept_a_broadcast() -> None:
        Organization.objects.filter(pk=acme.pk).update(name="half done")
        ledger.reserve(organization_id=acme.pk, amount=3, reference="broadcast:1")

    with pytest.raises(InsufficientCredits):
        accept_a_broadcast()

    acme.refresh_from_db()
    assert acme.name != "half done"


def test_another_organizations_credits_are_out_of_reach(
    acme: Organization, borealis: Organization, root: Member
) -> None:
    ledger.grant(organization=borealis, amount=1_000, member=root, note="")

    with pytest.raises(InsufficientCredits):
        ledger.reserve(organization_id=acme.pk, amount=1, reference="broadcast:1")

    assert ledger.balance(borealis.pk).available == 1_000


def test_a_capture_uses_reserved_credits_up(acme: Organization, root: Member) -> None:
    _reserved(acme, root, 100)

    moved = ledger.capture(organization_id=acme.pk, amount=30, reference="broadcast:1:a:1")

    assert moved
    assert ledger.balance(acme.pk) == Balance(available=0, reserved=70, spent=30)


def test_a_release_makes_reserved_credits_available_again(acme: Organization, root: Member) -> None:
    _reserved(acme, root, 100)

    moved = ledger.release(organization_id=acme.pk, amount=30, reference="broadcast:1:a:1")

    assert moved
    assert ledger.balance(acme.pk) == Balance(available=30, reserved=70, spent=0)


@pytest.mark.parametrize("verb", [ledger.capture, ledger.release])
def test_settling_more_than_is_reserved_is_refused(
    acme: Organization, root: Member, verb: Any
) -> None:
    _reserved(acme, root, 100)

    with pytest.raises(NotReserved, match="only 100 are reserved"):
        verb(organization_id=acme.pk, amount=101, reference="broadcast:1:a:1")

    assert ledger.balance(acme.pk) == Balance(available=0, reserved=100, spent=0)


@pytest.mark.parametrize("verb", [ledger.capture, ledger.release])
def test_settling_without_an_account_is_refused(acme: Organization, verb: Any) -> None:
    with pytest.raises(NotReserved, match="only 0 are reserved"):
        verb(organization_id=acme.pk, amount=1, reference="broadcast:1:a:1")


@pytest.mark.parametrize("verb", [ledger.capture, ledger.release])
def test_settling_nothing_moves_nothing(acme: Organization, root: Member, verb: Any) -> None:
    _reserved(acme, root, 100)

    moved = verb(organization_id=acme.pk, amount=0, reference="broadcast:1:a:1")

    assert moved is False
    assert not LedgerEntry.objects.filter(reference="broadcast:1:a:1").exists()


def test_a_late_capture_uses_available_credits_up(acme: Organization, root: Member) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="")

    captured = ledger.late_capture(organization_id=acme.pk, amount=4, reference="broadcast:1:late")

    assert captured
    assert ledger.balance(acme.pk) == Balance(available=6, reserved=0, spent=4)


def test_a_late_capture_beyond_what_is_available_moves_nothing(
    acme: Organization, root: Member
) -> None:
    ledger.grant(organization=acme, amount=3, member=root, note="")

    captured = ledger.late_capture(organization_id=acme.pk, amount=4, reference="broadcast:1:late")

    assert captured is False
    assert ledger.balance(acme.pk) == Balance(available=3, reserved=0, spent=0)


def test_a_repeated_late_capture_is_captured_still_and_only_once(
    acme: Organization, root: Member
) -> None:
    ledger.grant(organization=acme, amount=4, member=root, note="")

    for _ in range(2):
        assert ledger.late_capture(organization_id=acme.pk, amount=4, reference="broadcast:1:late")

    assert ledger.balance(acme.pk) == Balance(available=0, reserved=0, spent=4)


@pytest.mark.parametrize("verb", [ledger.capture, ledger.release])
def test_a_repeated_settlement_moves_nothing(acme: Organization, root: Member, verb: Any) -> None:
    _reserved(acme, root, 100)
    verb(organization_id=acme.pk, amount=100, reference="broadcast:1:a:1")
    before = ledger.balance(acme.pk)

    moved = verb(organization_id=acme.pk, amount=100, reference="broadcast:1:a:1")

    assert moved is False
    assert ledger.balance(acme.pk) == before


def test_a_repeated_reserve_moves_nothing_even_when_nothing_is_left(
    acme: Organization, root: Member
) -> None:
    _reserved(acme, root, 100)

    moved = ledger.reserve(organization_id=acme.pk, amount=100, reference="broadcast:1")

    assert moved is False
    assert ledger.balance(acme.pk) == Balance(available=0, reserved=100, spent=0)


def test_one_reference_serves_one_movement_of_each_kind(acme: Organization, root: Member) -> None:
    _reserved(acme, root, 100)

    ledger.capture(organization_id=acme.pk, amount=60, reference="broadcast:1:a:1")
    ledger.release(organization_id=acme.pk, amount=40, reference="broadcast:1:a:1")

    assert ledger.balance(acme.pk) == Balance(available=40, reserved=0, spent=60)


def test_two_organizations_may_use_one_reference(
    acme: Organization, borealis: Organization, root: Member
) -> None:
    for organization in (acme, borealis):
        ledger.grant(
            organization=organization, amount=1, member=root, note="", reference="grant:may"
        )

    assert [ledger.balance(each.pk).available for each in (acme, borealis)] == [1, 1]


HOSTILE = [-1, -(10**12), 2**63, 2**200, 1.0, 0.5, float("nan"), float("inf"), True, "5", None]


@pytest.mark.parametrize(
    ("verb", "amount"),
    [
        *itertools.product(("grant", "reserve", "late_capture"), [0, *HOSTILE, Decimal(5)]),
        *itertools.product(("capture", "release"), [False, *HOSTILE, Decimal(0)]),
    ],
)
def test_B96_what_is_no_amount_of_credits_is_refused(
    acme: Organization, root: Member, verb: str, amount: Any
) -> None:
    _reserved(acme, root, 100)
    target: dict[str, Any] = {"organization_id": acme.pk, "reference": "x"}
    if verb == "grant":
        target = {"organization": acme, "member": root, "note": "", "reference": "x"}

    with pytest.raises(InvalidAmount):
        getattr(ledger, verb)(amount=amount, **target)

    assert ledger.balance(acme.pk) == Balance(available=0, reserved=100, spent=0)


def test_B96_a_grant_has_a_ceiling(acme: Organization, root: Member) -> None:
    with pytest.raises(InvalidAmount, match="1 to 1000000000000"):
        ledger.grant(organization=acme, amount=10**12 + 1, member=root, note="")


@pytest.mark.parametrize("reference", ["", "x" * 121, "broadcast:\0"])
def test_a_reference_that_cannot_name_a_movement_is_refused(
    acme: Organization, root: Member, reference: str
) -> None:
    ledger.grant(organization=acme, amount=1, member=root, note="")

    with pytest.raises(ValueError, match="1 to 120 characters"):
        ledger.reserve(organization_id=acme.pk, amount=1, reference=reference)


def test_an_unknown_organization_has_nothing() -> None:
    assert ledger.balance(uuid4()) == Balance()


def test_the_total_is_what_is_not_used_up() -> None:
    assert Balance(available=3, reserved=4, spent=5).total == 7


@pytest.mark.parametrize("verb", [ledger.reserve, ledger.capture, ledger.release])
def test_a_movement_is_one_statement(
    acme: Organization, root: Member, verb: Any, django_assert_num_queries: Any
) -> None:
    _reserved(acme, root, 100, left=100)

    with django_assert_num_queries(1):
        verb(organization_id=acme.pk, amount=1, reference="broadcast:1:a:1")


def _reserved(organization: Organization, root: Member, amount: int, left: int = 0) -> None:
    ledger.grant(organization=organization, amount=amount + left, member=root, note="")
    ledger.reserve(organization_id=organization.pk, amount=amount, reference="broadcast:1")
