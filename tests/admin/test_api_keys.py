"""API keys in the admin: made by owners, shown once, ended after a question."""

import re

import pytest
from django.test import Client
from django.urls import reverse

from accounts import api_keys
from accounts.models import ApiKey, AuditEntry, Member, Organization
from tests.admin.accounts_pages import form, listing, page, texts
from tests.admin.pages import rows
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

ADD = "admin:accounts_apikey_add"


@pytest.fixture
def key(ana: Member) -> ApiKey:
    made = ApiKey(name="web shop")
    api_keys.add(key=made, by=ana)
    return made


def ending(key: ApiKey) -> str:
    return reverse("admin:accounts_apikey_end_key", args=[key.pk])


def test_S13_an_owner_makes_a_key_and_sees_it_once(admin_of: AdminOf, ana: Member) -> None:
    client = admin_of(ana)

    answer = form(client, reverse(ADD), name="<b>web</b> shop")

    row = ApiKey.objects.get()
    assert (row.organization_id, row.member_id) == (ana.organization_id, ana.pk)
    found = re.search(r"<strong>(pregon_[\w-]{43})</strong>", answer.content.decode())
    assert found
    assert api_keys.member_with(written=found[1])[0] == ana
    assert "<b>web" not in answer.content.decode()
    for address in (page(row), listing("apikey")):
        shown = client.get(address).content.decode()
        assert found[1] not in shown
        assert row.prefix in shown


def test_S19_whose_key_it_is_does_not_come_from_the_form(
    admin_of: AdminOf, ana: Member, carla: Member, borealis: Organization
) -> None:
    form(
        admin_of(ana),
        reverse(ADD),
        name="shop",
        organization=str(borealis.pk),
        member=str(carla.pk),
        prefix="x",
        digest="x",
    )

    row = ApiKey.objects.get()
    assert (row.organization_id, row.member_id) == (ana.organization_id, ana.pk)


def test_ending_a_key_asks_first(admin_of: AdminOf, ana: Member, key: ApiKey) -> None:
    client = admin_of(ana)

    asked = client.get(ending(key))
    key.refresh_from_db()
    assert key.is_active
    assert "web shop" in texts(asked)
    answer = client.post(ending(key), follow=True)

    key.refresh_from_db()
    assert not key.is_active
    assert "is ended" in texts(answer)
    assert AuditEntry.objects.filter(act="api_key.ended", member=ana).count() == 1
    assert client.get(ending(key)).status_code == 403  # there is nothing left to end


def test_a_key_is_neither_changed_nor_deleted(
    admin_of: AdminOf, ana: Member, root: Member, key: ApiKey
) -> None:
    for member in (ana, root):
        client = admin_of(member)
        assert client.get(page(key)).status_code == 200
        assert client.post(page(key), {"name": "x"}).status_code == 403
        deletion = page(key).replace("change/", "delete/")
        assert client.post(deletion, {"post": "yes"}).status_code == 403


@pytest.mark.parametrize("who", ["sara", "vera"])
def test_others_see_no_keys_and_make_none(
    admin_of: AdminOf, request: pytest.FixtureRequest, key: ApiKey, who: str
) -> None:
    client = admin_of(request.getfixturevalue(who))

    for address in (listing("apikey"), page(key), reverse(ADD), ending(key)):
        assert client.get(address).status_code == 403
    assert client.post(ending(key)).status_code == 403
    assert client.post(reverse(ADD), {"name": "x"}).status_code == 403
    key.refresh_from_db()
    assert key.is_active
    assert ApiKey.objects.count() == 1


def test_a_platform_superuser_sees_keys_and_makes_none(
    admin_of: AdminOf, root: Member, key: ApiKey
) -> None:
    client = admin_of(root)

    assert rows(client.get(listing("apikey"))) == [key]
    assert client.get(reverse(ADD)).status_code == 403
    assert client.post(ending(key)).status_code == 403


def test_S54_anothers_keys_are_not_there(
    admin_of: AdminOf, ana: Member, carla: Member, key: ApiKey
) -> None:
    client: Client = admin_of(carla)

    assert rows(client.get(listing("apikey"))) == []
    assert rows(client.get(listing("apikey"), {"q": key.prefix})) == []
    for address in (page(key), page(key).replace("change/", "history/")):
        assert client.get(address).status_code == 404
    assert client.post(ending(key)).status_code in (403, 404)
    key.refresh_from_db()
    assert key.is_active
