"""The web server's entry: `gunicorn config.wsgi`."""

import os
import sys
from typing import Final

from django.core.wsgi import get_wsgi_application

from config import checks
from config.pulse import pulse

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

_DOES_NOT_BOOT: Final = 3  # gunicorn's own: it ends, and does not try again for ever

application = get_wsgi_application()

if _faults := checks.faults():
    sys.stderr.write(f"{_faults}\n")
    sys.exit(_DOES_NOT_BOOT)

pulse.start()
