"""Rows for tests of the contacts app, and of what stands upon it."""

import factory

from contacts.models import Contact, Suppression, Tag
from tests.factories import OrganizationFactory


class ContactFactory(factory.django.DjangoModelFactory[Contact]):
    """An active contact with a Colombian mobile number of its own, written internationally."""

    class Meta:
        model = Contact
        skip_postgeneration_save = True

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"Contact {n}")
    phone = factory.Sequence(lambda n: f"+57300{n:07}")


class TagFactory(factory.django.DjangoModelFactory[Tag]):
    class Meta:
        model = Tag

    organization = factory.SubFactory(OrganizationFactory)
    name = factory.Sequence(lambda n: f"tag {n}")


class SuppressionFactory(factory.django.DjangoModelFactory[Suppression]):
    """An opt-out by a member, written past the verb and its audit."""

    class Meta:
        model = Suppression

    organization = factory.SubFactory(OrganizationFactory)
    recipient = factory.Sequence(lambda n: f"+57301{n:07}")
    source = Suppression.Source.MEMBER
