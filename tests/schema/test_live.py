"""S20, S50: the running API against its own description: `make test-api`.

A real web server, PostgreSQL and Valkey; two organizations; every operation asked PREGON_API_CASES times
beside its examples, the edges of each of its fields, and the ways from one operation to the next.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest
from rest_framework_simplejwt.tokens import AccessToken

from accounts import api_keys, sessions
from accounts.models import ApiKey, Member
from tests.api.web import ROOT, serving
from tests.factories import PASSWORD
from tests.security.rows import fill

pytestmark = pytest.mark.django_db(transaction=True)

CASES: Final = int(os.environ.get("PREGON_API_CASES", "200"))
SEED: Final = "20261123"  # the same requests each time: what passed passes again
HERE: Final = Path(__file__).parent
LOGOUTS: Final = 50
LIFE: Final = timedelta(hours=6)  # of an access token: longer than any run


def session(member: Member) -> str:
    """Return how a session of the member's own is sent: by a token that outlives the run."""
    signed_in = sessions.sign_in(email=member.email, password=PASSWORD)
    token = AccessToken(signed_in.access)  # type: ignore[arg-type]  # it takes the text of one
    token.set_exp(lifetime=LIFE)
    return f"Bearer {token}"


def bearer(member: Member) -> str:
    return f"Authorization: {session(member)}"


def key(member: Member) -> str:
    return f"api-key: {api_keys.add(key=ApiKey(name='schema'), by=member)}"


def ids(rows: dict[str, str]) -> str:
    """Return the settings by which half of the ids in addresses lead to something."""
    words = [f'[dictionaries.{name}]\nvalues = ["{pk}"]' for name, pk in rows.items()]
    uses = [f'"path.{name}" = {{ dictionary = "{name}", probability = 0.5 }}' for name in rows]
    carriers = ['[dictionaries.slug]\nvalues = ["twilio"]']
    uses.append('"path.slug" = { dictionary = "slug", probability = 0.8 }')
    return "\n".join([*words, *carriers, "[parameters]", *uses])


@pytest.mark.parametrize(
    ("credential", "phases"),
    [
        pytest.param(bearer, "examples,coverage,fuzzing,stateful", id="bearer"),
        pytest.param(key, "examples,coverage", id="api-key"),
    ],
)
def test_S50_it_answers_as_it_says_and_never_breaks(
    tmp_path: Path,
    ana: Member,
    sara: Member,
    carla: Member,
    fresh_rate_limits: None,
    credential: Callable[[Member], str],
    phases: str,
) -> None:
    fill(carla)
    rows = fill(ana, sender=sara)
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(f"{(HERE / 'schemathesis.toml').read_text()}\n{ids(rows.ids)}\n")
    with serving(tmp_path / "web.log", LOG_LEVEL="WARNING") as web:
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings), "run"),
                *("--phases", phases, "--max-examples", str(CASES), "--seed", SEED, "--no-color"),
                f"http://127.0.0.1:{web.port}/api/schema",
            ],
            cwd=tmp_path,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "SCHEMATHESIS_HOOKS": "tests.schema.credentials",
                "PREGON_API_CREDENTIAL": credential(ana),
                "PREGON_API_SESSIONS": json.dumps([session(ana) for _ in range(LOGOUTS)]),
            },
            check=False,
            stdout=subprocess.PIPE,
            text=True,
        )
        problems = re.findall(
            r"^.*(?:Traceback|Internal Server Error).*$", web.log.read_text(), re.MULTILINE
        )

    sys.stdout.write(ended.stdout)
    assert ended.returncode == 0, ended.stdout
    assert problems == []
    assert int(re.findall(r"(\d+) generated", ended.stdout)[0]) > len(rows.ids) * CASES / 4
