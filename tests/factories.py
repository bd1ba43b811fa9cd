"""Rows for tests: organizations, members and terms. Each app's own rows have their factories beside their tests."""

from typing import Any

import factory
from django.utils import timezone

from accounts.models import Member, Organization, Terms, TermsAcceptance
from accounts.roles import Role

PASSWORD = "correct-horse-battery"


class OrganizationFactory(factory.django.DjangoModelFactory[Organization]):
    class Meta:
        model = Organization

    name = factory.Sequence(lambda n: f"Organization {n}")
    email = factory.Sequence(lambda n: f"office{n}@example.org")


class MemberFactory(factory.django.DjangoModelFactory[Member]):
    """A VIEWER of an organization of his own, whose password is `PASSWORD`."""

    class Meta:
        model = Member
        skip_postgeneration_save = True

    email = factory.Sequence(lambda n: f"member{n}@example.org")
    name = factory.Sequence(lambda n: f"Member {n}")
    organization = factory.SubFactory(OrganizationFactory)
    role = Role.VIEWER

    @classmethod
    def _create(cls, model_class: type[Member], *args: Any, **fields: Any) -> Member:
        member = model_class(**{"password": "", **fields})
        member.set_password(fields.pop("password", PASSWORD))
        member.save()
        return member


class SuperuserFactory(MemberFactory):
    """A platform superuser: of no organization, without a role."""

    organization = None
    role = ""
    is_superuser = True


class TermsFactory(factory.django.DjangoModelFactory[Terms]):
    """A version that is in force from now on."""

    class Meta:
        model = Terms

    version = factory.Sequence(lambda n: f"2026-{n:03}")
    title = "Terms of use"
    body = "Write only to people who asked for it."
    published_at = factory.LazyFunction(timezone.now)


class TermsAcceptanceFactory(factory.django.DjangoModelFactory[TermsAcceptance]):
    class Meta:
        model = TermsAcceptance

    member = factory.SubFactory(MemberFactory)
    terms = factory.SubFactory(TermsFactory)
    address = "192.0.2.1"
    user_agent = "factory"
