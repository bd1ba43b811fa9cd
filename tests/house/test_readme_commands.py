"""The README's first broadcast, typed as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from pytest_django.live_server_helper import LiveServer

from config import demo
from messaging.models import Broadcast
from tests.house import source

# Not every machine has curl; of its options these commands use three.
CURL: Final = """
import argparse, sys, urllib.request

read = argparse.ArgumentParser()
read.add_argument("url")
read.add_argument("-s", action="store_true")
read.add_argument("-H", action="append", default=[])
read.add_argument("-d")
asked = read.parse_args()
request = urllib.request.Request(
    asked.url,
    data=asked.d.encode() if asked.d else None,
    headers=dict(header.split(": ", 1) for header in asked.H),
)
with urllib.request.urlopen(request) as answer:
    sys.stdout.write(answer.read().decode())
"""


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with what the commands call: our curl, and this very Python."""
    folder = tmp_path / "tools"
    folder.mkdir()
    (folder / "curl.py").write_text(CURL)
    for name, arguments in {"curl": str(folder / "curl.py"), "python3": ""}.items():
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {arguments} "$@"\n')
        program.chmod(0o755)
    return folder


def commands(document: str, heading: str) -> str:
    return "\n".join(re.findall(r"```sh\n(.*?)\n```", source.section(document, heading), re.DOTALL))


def typed(script: str, *, server: LiveServer, tools: Path) -> str:
    """Return what a shell prints for the commands, with the server's port in place of 8000."""
    script = script.replace("http://127.0.0.1:8000", f"http://127.0.0.1:{server.thread.port}")
    shell = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=tools.parent,
        env={"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"},
        check=False,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert shell.returncode == 0, shell.stderr
    return shell.stdout


@pytest.mark.django_db(transaction=True)
def test_a_stranger_sends_a_first_broadcast(
    live_server: LiveServer, tools: Path, fresh_rate_limits: None
) -> None:
    demo.fill()

    printed = typed(
        commands("README.md", "## Send your first broadcast"), server=live_server, tools=tools
    )

    answer, end = json.JSONDecoder().raw_decode(printed)
    followed = json.loads(printed[end:])
    broadcast = Broadcast.objects.get()
    assert answer["queueId"] == followed["queueId"] == str(broadcast.pk)
    assert len(answer["messages"]) == followed["counts"]["messages"] == broadcast.messages_total
    assert answer["messages"][0]["recipient"] == "+573001234567"


@pytest.mark.django_db(transaction=True)
def test_the_api_page_shows_the_answers_that_come(
    live_server: LiveServer, tools: Path, fresh_rate_limits: None
) -> None:
    demo.fill()
    shown = [
        json.loads(block.replace("…", ""))
        for heading in ("## Sign in", "## Send", "## Follow")
        for block in re.findall(
            r"```json\n(.*?)```", source.section("docs/api.md", heading), re.DOTALL
        )
    ]
    sign_in, send, follow = (
        commands("docs/api.md", heading) for heading in ("## Sign in", "## Send", "## Follow")
    )
    pick = """python3 -c 'import json, sys; print(json.load(sys.stdin)["{}"])'"""

    printed = typed(
        f"""
        {sign_in} > tokens.json
        TOKEN=$({pick.format("accessToken")} < tokens.json)
        {send} > answer.json
        QUEUE=$({pick.format("queueId")} < answer.json)
        {follow} > followed.json
        cat tokens.json answer.json followed.json
        """,
        server=live_server,
        tools=tools,
    )

    decoder, came, rest = json.JSONDecoder(), [], printed.strip()
    while rest:
        one, end = decoder.raw_decode(rest)
        came.append(one)
        rest = rest[end:].strip()
    assert [set(one) for one in came] == [set(one) for one in shown]
    assert set(came[1]["messages"][0]) == set(shown[1]["messages"][0])
    assert came[2]["counts"].keys() == shown[2]["counts"].keys()
    assert came[2]["skipped"] == shown[2]["skipped"]
    assert came[2]["counts"]["audience"] == shown[2]["counts"]["audience"]
