"""The people of the tests, and how they call: Ana, Beto and others of Acme, Carla of another house."""

from collections.abc import Callable

import pytest
from django.conf import settings
from django.core.cache import cache
from django.test import Client
from rest_framework.test import APIClient

from accounts import api_keys, rate_limits, sessions
from accounts.models import ApiKey, Member, Organization, Terms
from accounts.roles import Role
from tests.factories import (
    PASSWORD,
    MemberFactory,
    OrganizationFactory,
    SuperuserFactory,
    TermsAcceptanceFactory,
    TermsFactory,
)

ClientOf = Callable[[Member], APIClient]
AdminOf = Callable[[Member], Client]


def pytest_configure(config: pytest.Config) -> None:
    """Make passwords cheap to check: a real hash takes longer than most tests."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


# --- organizations and terms ----------------------------------------------------------------------
@pytest.fixture
def acme(db: None) -> Organization:
    """Ana's and Beto's organization."""
    return OrganizationFactory.create(name="Acme", country="CO")


@pytest.fixture
def borealis(db: None) -> Organization:
    """Carla's organization, which must see nothing of Acme."""
    return OrganizationFactory.create(name="Borealis", country="MX")


@pytest.fixture
def terms_in_force(db: None) -> Terms:
    return TermsFactory.create(version="2026-1")


# --- people ---------------------------------------------------------------------------------------
@pytest.fixture
def ana(acme: Organization, terms_in_force: Terms) -> Member:
    """OWNER of Acme, accepted the terms."""
    return _accepted("ana@acme.example", "Ana", acme, Role.OWNER, terms_in_force)


@pytest.fixture
def sara(acme: Organization, terms_in_force: Terms) -> Member:
    """SENDER of Acme, accepted the terms."""
    return _accepted("sara@acme.example", "Sara", acme, Role.SENDER, terms_in_force)


@pytest.fixture
def beto(acme: Organization, terms_in_force: Terms) -> Member:
    """SENDER of Acme, has not accepted the terms."""
    return MemberFactory.create(
        email="beto@acme.example", name="Beto", organization=acme, role=Role.SENDER
    )


@pytest.fixture
def vera(acme: Organization, terms_in_force: Terms) -> Member:
    """VIEWER of Acme, accepted the terms."""
    return _accepted("vera@acme.example", "Vera", acme, Role.VIEWER, terms_in_force)


@pytest.fixture
def carla(borealis: Organization, terms_in_force: Terms) -> Member:
    """OWNER of Borealis, accepted the terms."""
    return _accepted("carla@borealis.example", "Carla", borealis, Role.OWNER, terms_in_force)


@pytest.fixture
def root(db: None) -> Member:
    """Platform superuser: of no organization."""
    return SuperuserFactory.create(email="root@platform.example", name="Root")


def _accepted(email: str, name: str, house: Organization, role: Role, terms: Terms) -> Member:
    member = MemberFactory.create(email=email, name=name, organization=house, role=role)
    TermsAcceptanceFactory.create(member=member, terms=terms)
    return member


# --- how they call --------------------------------------------------------------------------------
@pytest.fixture
def fresh_rate_limits() -> None:
    """Nobody has asked or tried anything yet, in Redis and in this process."""
    cache.clear()
    rate_limits.forget_all()


@pytest.fixture
def anonymous(fresh_rate_limits: None) -> APIClient:
    """A client without credentials."""
    return APIClient()


@pytest.fixture
def client_of(fresh_rate_limits: None) -> ClientOf:
    """Make a client that calls the API as a member, by a bearer token of a sign-in of his own."""

    def made(member: Member) -> APIClient:
        tokens = sessions.sign_in(email=member.email, password=PASSWORD)
        client = APIClient()
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.access}")
        return client

    return made


@pytest.fixture
def key_of(fresh_rate_limits: None) -> ClientOf:
    """Make a client that calls the API as a member who manages keys, by a key of his own."""

    def made(member: Member) -> APIClient:
        client = APIClient()
        client.credentials(HTTP_API_KEY=api_keys.add(key=ApiKey(name="shop"), by=member))
        return client

    return made


@pytest.fixture
def admin_of(fresh_rate_limits: None) -> AdminOf:
    """Make a browser that is signed in to the admin as a member."""

    def made(member: Member) -> Client:
        client = Client()
        client.force_login(member)
        return client

    return made
