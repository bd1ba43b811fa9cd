"""The web server's entry: `gunicorn config.wsgi`."""

import os

from django.core.checks import run_checks
from django.core.management.base import SystemCheckError
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()

# The other parts are commands, which ask by themselves; a web server would start with anything.
if _serious := [message for message in run_checks() if message.is_serious()]:
    raise SystemCheckError("\n".join(str(message) for message in _serious))
