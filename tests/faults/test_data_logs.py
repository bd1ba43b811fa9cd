"""B93: logs that nobody reads hold nobody up, and logs that somebody reads tell him nothing of people."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

from tests.factories import PASSWORD
from tests.faults.harness.http import Client
from tests.faults.harness.parts import Ours
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until

TEXT: Final = "Zanahoria púrpura 9417"
NAME: Final = "Ximena Zúñiga"


@contextlib.contextmanager
def full_pipe(folder: Path) -> Iterator[Path]:
    """A named pipe that somebody holds open and never empties; not one more byte fits into it."""
    pipe = folder / "full"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 4096)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, b"x")
    yield pipe
    os.close(reader)
    os.close(writer)


def restarted(part: Ours, **changes: object) -> None:
    part.kill()
    environment = {**part.environment, "LOG_LEVEL": "DEBUG"}
    part.program = replace(part.program, env=environment, **changes)  # type: ignore[arg-type] # its fields
    part.start()


def test_B93_with_logs_that_nobody_reads_everything_goes_on(stack: Stack, tmp_path: Path) -> None:
    house = stack.house(contacts=300)
    with full_pipe(tmp_path) as pipe:
        for part in stack.ours:
            restarted(part, log=pipe)
        stack.wait_until_ready()

        with stack.worker.carrier.drop_reply(times=1):  # what is worth several lines
            house.wait_until_sent(house.send("Hola"))
        house.wait_until_delivered(house.send("Hola otra vez"))

        assert stack.says_that_all_is_up()
        for part in stack.ours:
            restarted(part)  # before the pipe is gone: who is killed writes no more
        stack.wait_until_ready()


def test_B93_no_log_of_a_whole_run_names_a_person_or_a_secret(stack: Stack) -> None:
    """At DEBUG, with everything that makes processes talk: refusals, lost replies, broken statements."""
    house = stack.house(contacts=20)
    house.add_contact("3005559417", name=NAME, last_name="Canaria")
    house.add_contact("+1 907 555 0147")  # refused by the carrier
    house.add_contact("+1 802 555 0148")  # of unknown outcome
    for part in stack.ours:
        restarted(part)
    stack.wait_until_ready()
    stack.worker.arm("worker.mid_record", "raise")
    token = _token_of(house.client)

    with stack.worker.carrier.drop_reply(times=2):
        queue_id = house.send(TEXT)
        house.wait_until_sent(queue_id)
    house.client.send(TEXT * 200)
    house.client.call("POST", "/api/messages/sms/all", f'{{"message": "{TEXT}"'.encode())
    house.client.call("GET", f"/api/nothing?recipient=%2B573005559417&token={token}")
    sign_in = {"email": house.ana.email, "password": f"{PASSWORD}-wrong"}
    Client(stack).call("POST", "/api/auth/sign-in", sign_in)
    with stack.web.database.refuse():
        stack.web.database.reset_all()
        house.client.send(TEXT)
    stack.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'pregon_app'")
    until(stack.says_that_all_is_up, 60)

    logs = dict(stack.logs())
    assert {"web", "worker", "dispatcher"} <= logs.keys()
    for name in ("web", "worker", "dispatcher"):
        assert len(logs[name]) > 200, f"{name} said nothing that could be looked at"
    numbers = [
        number[-10:]
        for (number,) in stack.sql(
            "SELECT e164 FROM contacts_contact WHERE organization_id = %s", house.organization.pk
        )
    ]
    secrets = {
        "a text": TEXT,
        "a word of a text": "Zanahoria",
        "a name": "Ximena",
        "a last name": "Canaria",
        "an e-mail address": house.ana.email,
        "a password": PASSWORD,
        "an access token": token,
        "the carrier's token": "sandbox-token",
        "SECRET_KEY": stack.web.environment["SECRET_KEY"],
        "JWT_SIGNING_KEY": stack.web.environment["JWT_SIGNING_KEY"],
        "AUDIT_KEY": stack.web.environment["AUDIT_KEY"],
        **{f"the number …{number[-3:]}": number for number in numbers},
        "a number in national digits": "9075550147",
    }
    told = [
        f"{name}'s log holds {what}"
        for name, log in logs.items()
        for what, secret in secrets.items()
        if secret in log
    ]
    assert told == []


def _token_of(client: Client) -> str:
    assert client._token is not None
    return client._token()
