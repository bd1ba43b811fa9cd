"""`manage.py up`, as people start and end it."""

import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config.embedded import Layout
from tests.ports import free_port
from tests.processes.running import Up
from tests.servers import new_state_folder


@pytest.fixture
def another_state_folder() -> Iterator[Path]:
    folder = new_state_folder()
    yield folder
    shutil.rmtree(folder)


def test_two_run_side_by_side_and_each_ends_with_ctrl_c_leaving_nothing(
    state_folder: Path, another_state_folder: Path
) -> None:
    both = [Up(state_folder, free_port()), Up(another_state_folder, free_port())]
    for up in both:
        up.wait_until_ready()

    health = [up.health() for up in both]
    endings = [up.end(signal.SIGINT) for up in both]

    assert health == [200, 200]
    assert endings == [0, 0]
    assert [up.left() for up in both] == [[], []]
    assert "starting it again" not in both[0].output + both[1].output


def test_it_names_what_is_in_the_way_leaves_nothing_when_killed_and_keeps_its_data(
    state_folder: Path, another_state_folder: Path
) -> None:
    first = Up(state_folder, free_port())
    first.wait_until_ready()
    second = Up(state_folder, free_port())
    third = Up(another_state_folder, first.port)
    said = [refused.process.communicate(timeout=240)[0] for refused in (second, third)]
    refusals = [refused.process.returncode for refused in (second, third)]
    url = Layout.of(state_folder).owner_database_url
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    first.end(signal.SIGKILL)
    limit = time.monotonic() + 60
    while (left := first.left()) and time.monotonic() < limit:
        time.sleep(0.1)
    again = Up(state_folder, first.port)
    again.wait_until_ready()
    with psycopg.connect(url) as owner:
        answer = owner.execute("SELECT answer FROM kept").fetchone()
    ending = again.end(signal.SIGTERM)

    assert refusals == [1, 1]
    assert "Pregón is already running" in said[0]
    assert f"process {first.process.pid}, http://127.0.0.1:{first.port}" in said[0]
    assert f"Port {first.port} is taken. Set PORT to a free one" in said[1]
    assert left == []
    assert answer == (42,)
    assert ending == 0
    assert again.left() == []
