"""Rows for tests of the contacts app, and of what stands upon it."""

from factory.declarations import Sequence, SubFactory
from factory.django import DjangoModelFactory

from contacts.models import Contact, Suppression, Tag
from tests.factories import OrganizationFactory


class ContactFactory(DjangoModelFactory[Contact]):
    """An active contact with a Colombian mobile number of its own, written internationally."""

    class Meta:
        model = Contact
        skip_postgeneration_save = True

    organization = SubFactory(OrganizationFactory)
    name = Sequence(lambda n: f"Contact {n}")
    phone = Sequence(lambda n: f"+57300{n:07}")


class TagFactory(DjangoModelFactory[Tag]):
    class Meta:
        model = Tag

    organization = SubFactory(OrganizationFactory)
    name = Sequence(lambda n: f"tag {n}")


class SuppressionFactory(DjangoModelFactory[Suppression]):
    """An opt-out by a member, written past the verb and its audit."""

    class Meta:
        model = Suppression

    organization = SubFactory(OrganizationFactory)
    recipient = Sequence(lambda n: f"+57301{n:07}")
    source = Suppression.Source.MEMBER
