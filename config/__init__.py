import sys
from types import TracebackType

from django.core.exceptions import ImproperlyConfigured

from config.celery import app as celery_app

__all__ = ["celery_app"]


def _say(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """End with the sentence where a variable is wrong: nobody needs to know where that was found."""
    if issubclass(kind, ImproperlyConfigured):
        sys.stderr.write(f"{error}\n")
    else:
        sys.__excepthook__(kind, error, trace)


# Whatever the process is, a worker or a web server: `manage.py` is only one of the doors.
sys.excepthook = _say
