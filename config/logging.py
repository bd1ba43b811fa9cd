"""Logs: JSON in production, readable in development, and in both without numbers, texts or keys."""

import logging
import logging.config
import re
from typing import Final

# Seven digits and more, as numbers are written; ids (hexadecimal with dashes) do not match whole.
_NUMBER: Final = re.compile(r"(?<![\w-])\+?\d[\d ().-]{5,}\d(?![\w-])")
_SECRET: Final = re.compile(
    r"(?i)\b(bearer|basic|token|password|secret|authorization)\b([=: ]+)\S+"
)
_KEPT_DIGITS: Final = 3


def masked(text: str) -> str:
    """Return the text with every phone number cut to its last three digits, and no secret."""
    text = _SECRET.sub(r"\1\2***", text)
    return _NUMBER.sub(lambda found: "***" + found.group()[-_KEPT_DIGITS:], text)


class PersonalDataFilter(logging.Filter):
    """Masks what identifies a person or opens a door, in the event and in its fields."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.msg, str):
            record.msg = masked(record.msg)
        if isinstance(record.args, tuple):
            record.args = tuple(masked(arg) if isinstance(arg, str) else arg for arg in record.args)
        return True


def configure(*, production: bool, level: str) -> None:
    """Send every log line to standard error, in the environment's shape."""
    json_format = {
        "()": "pythonjsonlogger.json.JsonFormatter",
        "fmt": "%(asctime)s %(levelname)s %(name)s %(message)s",
        "rename_fields": {
            "asctime": "at",
            "levelname": "level",
            "name": "logger",
            "message": "event",
        },
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "filters": {"personal_data": {"()": "config.logging.PersonalDataFilter"}},
            "formatters": {
                "json": json_format,
                "readable": {"()": "config.logging.ReadableFormatter"},
            },
            "handlers": {
                "console": {
                    "class": "logging.StreamHandler",
                    "filters": ["personal_data"],
                    "formatter": "json" if production else "readable",
                }
            },
            "root": {"handlers": ["console"], "level": level},
            "loggers": {
                # Django logs every 4xx as a warning; the access log of the web server has those.
                "django.request": {"level": "ERROR"},
                "django.security.DisallowedHost": {"level": "ERROR"},
                # Two lines a wake-up, and a wake-up is no event: what it did to messages is told.
                "celery.app.trace": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},
            },
        }
    )


class ReadableFormatter(logging.Formatter):
    """One line for people: time, level, event, then the fields as name=value."""

    _standard: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:<7} {name}: {message}", "%H:%M:%S", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        fields = {key: value for key, value in vars(record).items() if key not in self._standard}
        line = super().formatMessage(record)
        return " ".join([line, *(f"{key}={value}" for key, value in fields.items())])
