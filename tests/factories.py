"""Rows for tests: organizations, members and terms. Other apps have theirs beside their tests."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from factory.declarations import LazyFunction, Sequence, SubFactory
from factory.django import DjangoModelFactory

from accounts.models import Member, Organization, Terms, TermsAcceptance
from accounts.roles import Role

PASSWORD = "correct-horse-battery"


class OrganizationFactory(DjangoModelFactory[Organization]):
    class Meta:
        model = Organization

    name = Sequence(lambda n: f"Organization {n}")
    email = Sequence(lambda n: f"office{n}@example.org")


class MemberFactory(DjangoModelFactory[Member]):
    """A VIEWER of an organization of his own, whose password is `PASSWORD`."""

    class Meta:
        model = Member
        skip_postgeneration_save = True

    email = Sequence(lambda n: f"member{n}@example.org")
    name = Sequence(lambda n: f"Member {n}")
    organization: SubFactory | None = SubFactory(OrganizationFactory)
    role: str = Role.VIEWER

    @classmethod
    def _create(cls, model_class: type[Member], *_args: Any, **fields: Any) -> Member:
        member = model_class(**{"password": "", **fields})
        member.set_password(fields.pop("password", PASSWORD))
        member.save()
        return member


class SuperuserFactory(MemberFactory):
    """A platform superuser: of no organization, without a role."""

    organization = None
    role = ""
    is_superuser = True


class TermsFactory(DjangoModelFactory[Terms]):
    """A version that is in force from now on."""

    class Meta:
        model = Terms

    version = Sequence(lambda n: f"2026-{n:03}")
    title = "Terms of use"
    body = "Write only to people who asked for it."
    published_at = LazyFunction(timezone.now)


class TermsAcceptanceFactory(DjangoModelFactory[TermsAcceptance]):
    class Meta:
        model = TermsAcceptance

    member = SubFactory(MemberFactory)
    terms = SubFactory(TermsFactory)
    address = "192.0.2.1"
    user_agent = "factory"
