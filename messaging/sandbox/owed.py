"""What the sandbox carrier still owes when it stops in order, kept in a file for its next start."""

import json
import logging
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from messaging.sandbox.dialect import Dialect, Sender
from messaging.sandbox.record import Named
from messaging.sandbox.reporting import Reporter, Script

logger = logging.getLogger(__name__)

_LONGEST: Final = 72 * 3600.0  # seconds; what is older is of no use to anybody


def keep(path: Path, reporter: Reporter) -> None:
    """Write every report that was not answered yet; the file is whole or the one before.

    The accounts' tokens are in it, so nobody else may read it. Where nothing is owed, it goes.
    """
    beside = path.with_name(f"{path.name}.new")
    count = 0
    with open(beside, "w", opener=_private) as file:
        for line in _lines(reporter):
            file.write(f"{json.dumps(line)}\n")
            count += isinstance(line, list)
    if count:
        os.replace(beside, path)
    else:
        beside.unlink()
        path.unlink(missing_ok=True)


def take_up(path: Path, reporter: Reporter, dialects: Iterable[Dialect]) -> int:
    """Let the reporter send what the file tells, and return how many reports wait for it.

    The file stays until the next stop: killed meanwhile, the carrier repeats itself rather than
    forget, as carriers do. A file that is older than three days or cannot be read is left out.
    """
    try:
        if time.time() - path.stat().st_mtime > _LONGEST:
            logger.warning("sandbox_state_too_old")
            return 0
        with path.open() as file:
            owed = list(_read(file, reporter, {dialect.slug: dialect for dialect in dialects}))
    except FileNotFoundError:
        return 0
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        logger.warning("sandbox_state_unreadable: %s", error)
        return 0
    for sender, query, script, step, named in owed:
        reporter.owe(sender, query, script, step, named)
    return reporter.pending


def _lines(reporter: Reporter) -> Iterator[dict[str, Any] | list[Any]]:
    """Yield senders and scripts once each, as objects, before the reports that need them."""
    senders: dict[int, int] = {}
    scripts: dict[Script, int] = {}
    for due, named in reporter.owed():
        sender, script = due.sender, due.script
        if id(sender) not in senders:
            senders[id(sender)] = len(senders)
            known = (sender.dialect.slug, sender.account, sender.token, sender.number)
            yield {"sender": [*known, sender.address]}
        if script not in scripts:
            scripts[script] = len(scripts)
            yield {"script": list(script)}
        yield [senders[id(sender)], due.query, scripts[script], due.step, *named]


def _read(
    lines: Iterable[str], reporter: Reporter, dialects: dict[str, Dialect]
) -> Iterator[tuple[Sender, str, Script, int, Named]]:
    senders: list[Sender] = []
    scripts: list[Script] = []
    for line in lines:
        said = json.loads(line)
        if isinstance(said, list):
            sender, query, script, step, *named = said
            yield senders[sender], query, scripts[script], step, Named(*named)
        elif "sender" in said:
            slug, account, token, number, address = said["sender"]
            senders.append(
                reporter.sender(
                    dialects[slug], account=account, token=token, number=number, address=address
                )
            )
        else:
            steps, _lag, *rest = said["script"]
            # What should have been told long ago is told without another pause.
            scripts.append(Script(tuple((word, code) for word, code in steps), 0.0, *rest))


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
