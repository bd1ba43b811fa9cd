"""The web server's entry: `gunicorn config.wsgi`."""

import gc
import os
import sys
from importlib import import_module
from typing import Final

from django.conf import settings
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

# All views are loaded now, not by the first request, and stay: without this the collector walks all of them
# every now and then, in the midst of a request that takes 80 ms longer for it.
import_module(settings.ROOT_URLCONF)
gc.collect()
gc.freeze()
