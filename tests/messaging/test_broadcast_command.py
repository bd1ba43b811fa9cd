"""`manage.py broadcast`: preview, question, send, and waiting for the end, by the verbs of all doors."""

import io
import time
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from accounts.models import Member, Organization
from billing import ledger
from contacts.models import Tag
from messaging import delivery, run_control
from messaging.models import Broadcast
from messaging.providers.memory import Memory
from messaging.providers.results import Refused
from tests.messaging.conftest import Contacts
from tests.messaging.factories import grant

pytestmark = pytest.mark.usefixtures("memory", "published")

Run = Callable[..., str]


class Terminal(io.StringIO):
    """A keyboard at which somebody has typed this."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(ana: Member, acme: Organization, contacts: Contacts) -> Run:
    """Run the command as Ana, who has ten credits and two to write to; return what it prints."""
    grant(acme, 10)
    contacts("+573001234567", "+573001234568", "x")

    def ran(*arguments: str, email: str = ana.email, text: str = "Hola") -> str:
        out = io.StringIO()
        call_command("broadcast", "--as", email, "--text", text, *arguments, stdout=out)
        return out.getvalue()

    return ran


@pytest.fixture
def drained(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the command waits, a worker drains."""

    def drain_meanwhile(_seconds: float) -> None:
        delivery.drain(queue_id=Broadcast.objects.get().pk, lane=0)

    monkeypatch.setattr(time, "sleep", drain_meanwhile)


def refusal(run: Run, *arguments: str, **options: str) -> CommandError:
    with pytest.raises(CommandError) as refused:
        run(*arguments, **options)
    return refused.value


# --- preview --------------------------------------------------------------------------------------
def test_a_dry_run_shows_what_it_comes_to_and_sends_nothing(run: Run, acme: Organization) -> None:
    printed = run("--dry-run", text="¿Qué «tal»?")

    assert "Acme, by ana@acme.example" in printed
    assert "2 of 3 contacts" in printed
    assert "1 invalid number" in printed
    assert "UCS-2" in printed
    assert "« »" in printed
    assert "2 credits of 10; 8 are left" in printed
    assert "CO 2" in printed
    assert "+573001234567, +573001234568" in printed
    assert not Broadcast.objects.exists()
    assert ledger.balance(acme.pk).reserved == 0


def test_it_warns_of_the_same_text_and_says_who_is_waited_for(run: Run, acme: Organization) -> None:
    run("--yes")
    Organization.objects.filter(pk=acme.pk).update(approval_above=1)

    printed = run("--dry-run")

    assert "the same text to 2 on" in printed
    assert "another member who approves it" in printed


# --- sending --------------------------------------------------------------------------------------
def test_with_yes_it_sends_without_a_question(run: Run, ana: Member) -> None:
    printed = run("--yes", "--type", "flash", "--country", "57")

    broadcast = Broadcast.objects.get()
    assert (broadcast.member, broadcast.messages_total) == (ana, 2)
    assert (broadcast.kind, broadcast.country, broadcast.text) == ("FLASH", "CO", "Hola")
    assert f"Accepted: {broadcast.pk} is RUNNING." in printed


@pytest.mark.parametrize("typed", ["y\n", "yes\n", "YES \n"])
def test_who_says_yes_is_obeyed(run: Run, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))

    printed = run()

    assert "Send it to 2 people for 2 credits? [yes/no]" in printed
    assert Broadcast.objects.exists()


@pytest.mark.parametrize("typed", ["", "\n", "no\n", "2\n", "yesterday\n"])
def test_who_says_anything_else_sends_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch, typed: str
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(typed))

    assert refusal(run).returncode == 3
    assert not Broadcast.objects.exists()


def test_where_nobody_can_be_asked_it_sends_nothing(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))

    assert "--yes" in str(refusal(run))
    assert not Broadcast.objects.exists()


def test_what_changed_while_it_asked_is_not_sent(
    run: Run, contacts: Contacts, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed = Terminal("yes\n")
    at_once = typed.readline

    def slowly() -> str:
        contacts("+573001234569")
        return at_once()

    monkeypatch.setattr(typed, "readline", slowly)
    monkeypatch.setattr("sys.stdin", typed)

    assert "has changed since" in str(refusal(run))
    assert not Broadcast.objects.exists()


def test_it_writes_to_contacts_with_any_of_the_tags(
    run: Run, acme: Organization, contacts: Contacts
) -> None:
    (friend,) = contacts("+573001234569")
    Tag.objects.create(organization=acme, name="friends").contacts.set([friend])
    Tag.objects.create(organization=acme, name="family")

    run("--yes", "--tag", "friends", "--tag", "family")

    broadcast = Broadcast.objects.get()
    assert (broadcast.audience_kind, broadcast.audience) == ("tags", 1)


def test_it_schedules(run: Run) -> None:
    moment = timezone.now().replace(microsecond=0) + timedelta(days=1)

    run("--yes", "--at", moment.isoformat())

    broadcast = Broadcast.objects.get()
    assert (broadcast.status, broadcast.scheduled_at) == ("SCHEDULED", moment)


# --- refusals -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--tag", "nobody"], "There is no tag nobody. There are: none."),
        (["--country", "XX"], "--country"),
        (["--at", "tomorrow"], "--at"),
        (["--at", "2030-02-30T00:00"], "--at"),
        (["--at", "2020-01-01T00:00"], "has passed"),
    ],
)
def test_what_cannot_be_read_is_said(run: Run, arguments: list[str], says: str) -> None:
    refused = refusal(run, "--yes", *arguments)

    assert says in str(refused)
    assert refused.returncode == 1
    assert not Broadcast.objects.exists()


@pytest.mark.parametrize(
    ("who", "says"),
    [
        ("vera", "Viewer"),
        ("beto", "Accept the current terms"),  # S12
        ("root", "belongs to no organization"),
        ("nobody", "No member has the address nobody@acme.example"),
    ],
)
def test_who_may_not_send_is_told_why(
    run: Run, request: pytest.FixtureRequest, who: str, says: str
) -> None:
    email = "nobody@acme.example" if who == "nobody" else str(request.getfixturevalue(who).email)

    for arguments in (["--yes"], ["--dry-run"]):
        assert says in str(refusal(run, *arguments, email=email))
    assert not Broadcast.objects.exists()


def test_too_few_credits_are_told_after_the_preview(run: Run) -> None:
    assert "costs 14 credits and 10" in str(refusal(run, "--yes", text="a" * 7 * 153))
    assert not Broadcast.objects.exists()


# --- waiting --------------------------------------------------------------------------------------
def test_it_waits_until_all_is_handed_over(run: Run, drained: None) -> None:
    printed = run("--yes", "--wait")

    assert "0 of 2 handed over" in printed
    assert "100%  2 of 2 handed over" in printed
    assert f"{Broadcast.objects.get().pk} is COMPLETED: 2 sent." in printed


def test_a_failure_is_told_by_the_exit_code(run: Run, drained: None, memory: Memory) -> None:
    memory.will_answer("+573001234567", Refused("x", "no"))

    refused = refusal(run, "--yes", "--wait")

    assert refused.returncode == 4
    assert "COMPLETED_WITH_FAILURES: 1 sent, 1 failed" in str(refused)


def test_what_stands_still_is_not_waited_for(
    run: Run, ana: Member, acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pause(_seconds: float) -> None:
        run_control.pause(member=ana, broadcast=Broadcast.objects.get())

    monkeypatch.setattr(time, "sleep", pause)

    refused = refusal(run, "--yes", "--wait")

    assert refused.returncode == 5
    assert "PAUSED (paused by an operator): 2 waiting" in str(refused)
