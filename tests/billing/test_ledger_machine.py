"""Movements in any order against a model that is a few lines of arithmetic."""

import os
from typing import Any, Final
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run

from accounts.models import Member, Organization
from billing import invariants, ledger
from billing.ledger import Balance, InsufficientCredits, NotReserved

EXAMPLES: Final = int(os.environ.get("PREGON_EXAMPLES", "200"))  # `make soak` wants 2,000

# Small numbers and few names: so that limits are met and movements are repeated.
AMOUNTS = st.integers(min_value=1, max_value=12)
NAMES = st.integers(min_value=1, max_value=6)


class Movements(RuleBasedStateMachine):
    """One organization's account beside what it should be."""

    root: Member

    @initialize()
    def found_an_organization(self) -> None:
        self.organization = Organization.objects.create(name=f"Organization {uuid4()}")
        self.available = self.reserved = self.spent = 0
        self.made: set[tuple[str, int]] = set()
        self.target: dict[str, Any] = {"organization_id": self.organization.pk}

    @rule(amount=AMOUNTS, name=NAMES)
    def grant(self, amount: int, name: int) -> None:
        moved = ledger.grant(
            organization=self.organization,
            amount=amount,
            member=self.root,
            note="",
            reference=f"grant:{name}",
        )

        assert moved is self._is_first("grant", name)
        if moved:
            self.available += amount

    @rule(amount=AMOUNTS, name=NAMES)
    def reserve(self, amount: int, name: int) -> None:
        reference = f"movement:{name}"
        if ("reserve", name) not in self.made and amount > self.available:
            with pytest.raises(InsufficientCredits) as refusal:
                ledger.reserve(**self.target, amount=amount, reference=reference)
            assert refusal.value.available == self.available
            assert refusal.value.shortfall == amount - self.available
            return

        moved = ledger.reserve(**self.target, amount=amount, reference=reference)

        assert moved is self._is_first("reserve", name)
        if moved:
            self.available -= amount
            self.reserved += amount

    @rule(amount=AMOUNTS, name=NAMES)
    def capture(self, amount: int, name: int) -> None:
        if self._settles(ledger.capture, "capture", amount, name):
            self.reserved -= amount
            self.spent += amount

    @rule(amount=AMOUNTS, name=NAMES)
    def release(self, amount: int, name: int) -> None:
        if self._settles(ledger.release, "release", amount, name):
            self.reserved -= amount
            self.available += amount

    @rule(amount=AMOUNTS, name=NAMES)
    def late_capture(self, amount: int, name: int) -> None:
        is_repeat = ("late_capture", name) in self.made
        is_covered = amount <= self.available

        captured = ledger.late_capture(**self.target, amount=amount, reference=f"movement:{name}")

        assert captured is (is_repeat or is_covered)
        if is_covered and not is_repeat:
            self.made.add(("late_capture", name))
            self.available -= amount
            self.spent += amount

    @invariant()
    def the_balance_is_the_models(self) -> None:
        if hasattr(self, "organization"):
            assert ledger.balance(self.organization.pk) == Balance(
                available=self.available, reserved=self.reserved, spent=self.spent
            )

    def teardown(self) -> None:
        if hasattr(self, "organization"):
            findings = invariants.check(
                organization_id=self.organization.pk, thorough=True, among=invariants.CREDITS
            )
            assert [finding for finding in findings if finding.rows] == []

    def _settles(self, verb: Any, kind: str, amount: int, name: int) -> bool:
        reference = f"movement:{name}"
        if (kind, name) not in self.made and amount > self.reserved:
            with pytest.raises(NotReserved):
                verb(**self.target, amount=amount, reference=reference)
            return False

        moved: bool = verb(**self.target, amount=amount, reference=reference)

        assert moved is self._is_first(kind, name)
        return moved

    def _is_first(self, kind: str, name: int) -> bool:
        is_first = (kind, name) not in self.made
        self.made.add((kind, name))
        return is_first


@pytest.mark.django_db
def test_B14_movements_in_any_order_come_to_what_the_model_says(root: Member) -> None:
    Movements.root = root

    run(Movements, settings=settings(max_examples=EXAMPLES, stateful_step_count=50, deadline=None))
