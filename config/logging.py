"""Logs: JSON in production, readable in development, and in both without numbers, texts or keys."""

import logging
import logging.config
import re
from collections.abc import Mapping
from typing import Any, Final

# Every repeat is bounded, and a word is entered at its beginning only: whoever sends a header that ends
# in a log line chooses what these look at, and an open repeat takes minutes for a few thousand letters.
# Ids do not match as numbers: a letter or a dash stands beside their digits.
# The end of the chain of audit seals is a number, too: it is logged to be noted, and held against later.
_NUMBER: Final = re.compile(r"(?<![\w.-])\+?\d[\d ().-]{5,40}\d(?![\w-]|:[0-9a-f]{64}\b)")
_FEWEST_DIGITS: Final = 7
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}\b")
_PORT_AND_PROCESS: Final = re.compile(
    r"\d{4,5} \(\d{1,7}"
)  # as the web server says where it listens
_TELLING: Final = r"token|password|secret|authorization|api[_-]?key|signing[_-]?key"
_SECRETS: Final = (
    re.compile(r"(?i)(\b(?:bearer|basic)\s{1,9})[^\s\"',;]+"),
    re.compile(
        rf"(?i)((?<![\w-])[\w-]{{0,40}}?(?:{_TELLING})"
        r"[\w-]{0,40}[\"']?\s{0,9}[:=]\s{0,9}[\"']?)(?!\*\*\*|bearer\b|basic\b)[^\s\"',;&}]+"
    ),
    re.compile(r"(\b\w{1,20}://[^\s/:@]{0,200}:)[^\s/@]{1,500}(?=@)"),  # the password in a URL
    # A JSON web token, wherever it stands.
    re.compile(r"()(?<![\w-])eyJ[\w-]{1,4000}\.[\w-]{1,4000}(?:\.[\w-]{0,400})?"),
)
_SECRET_NAME: Final = re.compile(rf"(?i){_TELLING}")
_LONGEST: Final = 4_000  # characters of one message, field or trace
_KEPT_DIGITS: Final = 3
_OF_EVERY_RECORD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def masked(text: str) -> str:
    """Return the text with every phone number cut to its last three digits, and no secret."""
    if len(text) > _LONGEST:
        text = f"{text[:_LONGEST]}…"
    for secret in _SECRETS:
        text = secret.sub(r"\1***", text)
    return _NUMBER.sub(_masked_number, text)


def _masked_number(found: re.Match[str]) -> str:
    number = found.group()
    digits = sum(character.isdigit() for character in number)
    if digits < _FEWEST_DIGITS or _DATE.match(number) or _PORT_AND_PROCESS.fullmatch(number):
        return number
    return "***" + number[-_KEPT_DIGITS:]


def _masked_value(value: Any) -> Any:
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(name): _masked_field(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_masked_value(inner) for inner in value]
    return masked(str(value))


def _masked_field(name: str, value: Any) -> Any:
    return "***" if _SECRET_NAME.search(name) else _masked_value(value)


class PersonalDataFilter(logging.Filter):
    """Masks what identifies a person or opens a door: in the event, its fields and its trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        try:
            event = record.getMessage()
        except (TypeError, ValueError, KeyError):  # somebody's line that does not fit its arguments
            event = f"{record.msg!r} {record.args!r}"
        record.msg, record.args = masked(event), None
        if record.exc_info:
            record.exc_text = masked(logging.Formatter().formatException(record.exc_info))
            record.exc_info = None
        for name in vars(record).keys() - _OF_EVERY_RECORD:
            setattr(record, name, _masked_field(name, getattr(record, name)))
        return True


class TracesOnly(logging.Filter):
    """Lets defects through, which have a trace, and not each answer with a status above 499.

    A database that is away is told once by `config.api_errors`, without the address that was asked for.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        return bool(record.exc_info)


def configure(*, production: bool, level: str) -> None:
    """Send every log line to standard error, in the environment's shape."""
    logging.captureWarnings(production)  # else Python writes them past the handlers, as plain text
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
            "filters": {
                "personal_data": {"()": "config.logging.PersonalDataFilter"},
                "traces_only": {"()": "config.logging.TracesOnly"},
            },
            "formatters": {
                "json": json_format,
                "readable": {"()": "config.logging.ReadableFormatter"},
            },
            "handlers": {
                "console": {
                    "class": "config.log_sink.StandardError",
                    "filters": ["personal_data"],
                    "formatter": "json" if production else "readable",
                }
            },
            "root": {"handlers": ["console"], "level": level},
            "loggers": {
                # Django logs every 4xx as a warning; the access log of the web server has those.
                "django.request": {"level": "ERROR", "filters": ["traces_only"]},
                "django.security.DisallowedHost": {"level": "ERROR"},
                # At DEBUG these print whole page contexts and the values of statements: texts, numbers.
                "django.template": {"level": "INFO"},
                "django.db.backends": {"level": "INFO"},
                # Two lines a wake-up, and a wake-up is no event: what it did to messages is told.
                "celery.app.trace": {"level": "WARNING"},
                "celery.worker.strategy": {"level": "WARNING"},
            },
        }
    )


class ReadableFormatter(logging.Formatter):
    """One line for people: time, level, event, then the fields as name=value."""

    def __init__(self) -> None:
        super().__init__("{asctime} {levelname:<7} {name}: {message}", "%H:%M:%S", style="{")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        fields = {key: value for key, value in vars(record).items() if key not in _OF_EVERY_RECORD}
        line = super().formatMessage(record)
        return " ".join([line, *(f"{key}={value}" for key, value in fields.items())])
