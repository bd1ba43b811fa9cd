#!/usr/bin/env python
"""Django's command line for Pregón."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

FOR_ONE_MACHINE = """\
`make run` and `manage.py up` start everything on one machine, for development. In production start web,
worker and dispatcher for themselves, as docs/deployment.md says; or unset PREGON_ENV."""


def state_of_demo() -> Path | None:
    """Give a demo without PREGON_STATE a new state folder, before any setting is read from the usual one."""
    if sys.argv[1:3] != ["up", "--demo"] or os.environ.get("PREGON_STATE"):
        return None
    state = Path(tempfile.mkdtemp(prefix="pregon-demo-"))
    state.chmod(0o711)  # the servers' account passes through it
    os.environ["PREGON_STATE"] = str(state)
    return state


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] == ["up"] and os.environ.get("PREGON_ENV") == "production":
        sys.exit(FOR_ONE_MACHINE)
    demo = state_of_demo()
    try:
        from django.core.exceptions import ImproperlyConfigured
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        # Whoever set a variable wrongly needs the sentence, not where in the code it was found.
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        if demo:
            shutil.rmtree(demo, ignore_errors=True)


if __name__ == "__main__":
    main()
