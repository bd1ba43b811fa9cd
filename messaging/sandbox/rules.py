"""Which message gets which behaviour: rules set at run time first, then the magic numbers."""

import math
import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

from messaging.sandbox.behaviour import (
    GIVING_IN,
    GOOD,
    MAGIC,
    PRESETS,
    Behaviour,
    Closes,
    Line,
    Steps,
)

Purpose = Literal["send", "lookup", "any"]

_MAGIC_NUMBER: Final = re.compile(r"\+1([0-9]{3})55501[0-9]([0-9])")
_LONGEST: Final = 3600.0  # seconds of a pause


class NotARule(ValueError):
    """What was posted is no rule; its words say why. None was set."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a rule is about. What is left empty matches all."""

    to: str = ""  # a number, or its beginning and a star
    account: str = ""
    dialect: str = ""
    call: Purpose = "send"
    times: int = 0  # so many, then never again; 0 is always
    beyond: float = 0.0  # only what comes in excess of so many messages a second
    share: float = 1.0  # of the others, drawn by `seed`
    seed: int = 0

    def fits(self, call: str, dialect: str, account: str, to: str) -> bool:
        """Return whether this is the kind of request; neither counts nor draws."""
        return (
            self.call in (call, "any")
            and self.dialect in ("", dialect)
            and self.account in ("", account)
            and (
                to.startswith(self.to[:-1])
                if self.to.endswith("*")
                else not self.to or to == self.to
            )
        )


@dataclass(slots=True, eq=False)
class Rule:
    """A behaviour for some requests, and how often it was asked for."""

    match: Match
    behaviour: Behaviour
    said: Mapping[str, object]  # as it was posted
    matched: int = 0
    _tokens: float = field(init=False)
    _filled: float = field(init=False)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.match.seed)  # noqa: S311 (a test wants the same again)
        self._tokens, self._filled = self.match.beyond, time.monotonic()

    def fires(self, messages: int) -> bool:
        """Return whether it is this request's turn, and count it."""
        match = self.match
        if match.times and self.matched >= match.times:
            return False
        if match.beyond and self._is_within(messages):
            return False
        if match.share < 1 and self._random.random() >= match.share:
            return False
        self.matched += 1
        return True

    def _is_within(self, messages: int) -> bool:
        now = time.monotonic()
        self._tokens = min(
            self.match.beyond, self._tokens + (now - self._filled) * self.match.beyond
        )
        self._filled = now
        if self._tokens < min(1.0, self.match.beyond):
            return False
        self._tokens -= messages
        return True


class Behaviours:
    """Decides on each request."""

    def __init__(self) -> None:
        self._asked: Counter[str] = Counter()
        self.rules: list[Rule] = []

    def clear(self) -> None:
        """Begin anew: no rules, and numbers that give in after a while have done so never before."""
        self._asked.clear()
        self.rules = []

    def of(
        self,
        recipients: Iterable[str],
        *,
        call: Purpose,
        dialect: str,
        account: str,
        messages: int = 1,
    ) -> list[Behaviour]:
        """Return how each message of one request is treated now.

        A rule about whole requests counts and draws once a request, any other once a message.
        """
        if not self.rules:
            return [self._magic(to) if call == "send" else GOOD for to in recipients]
        drawn: dict[int, bool] = {}
        behaviours = []
        for to in recipients:
            for rule in self.rules:
                if not rule.match.fits(call, dialect, account, to):
                    continue
                if not rule.behaviour.is_whole:
                    fires = rule.fires(1)
                elif (known := drawn.get(id(rule))) is None:
                    fires = drawn[id(rule)] = rule.fires(messages)
                else:
                    fires = known
                if fires:
                    behaviours.append(rule.behaviour)
                    break
            else:
                behaviours.append(self._magic(to) if call == "send" else GOOD)
        return behaviours

    def _magic(self, recipient: str) -> Behaviour:
        magic = _MAGIC_NUMBER.fullmatch(recipient)
        if not magic:
            return GOOD
        behaviour = MAGIC.get(magic[1], GOOD)
        if magic[1] in GIVING_IN:
            self._asked[recipient] += 1
            if 0 < int(magic[2]) < self._asked[recipient]:
                return GOOD
        return behaviour


# --- reading a rule -------------------------------------------------------------------------------


def read(said: object) -> list[Rule]:
    """Return the rules that were posted: one, or a list of them.

    Raises: NotARule.
    """
    return [_read_one(one) for one in (said if isinstance(said, list) else [said])]


def told(rule: Rule) -> dict[str, object]:
    """Return a rule as it is shown: what was posted, and how often it was asked for since."""
    return {**rule.said, "matched": rule.matched}


def _read_one(said: object) -> Rule:
    if not isinstance(said, dict):
        raise NotARule("A rule is an object, or several in a list.")
    match: dict[str, object] = {}
    effect: dict[str, object] = {}
    preset = GOOD
    for name, value in said.items():
        if name == "preset":
            if not isinstance(value, str) or value not in PRESETS:
                raise NotARule(f"preset must be one of {', '.join(PRESETS)}.")
            preset = PRESETS[value]
        elif name in FIELDS:
            what, reader = FIELDS[name]
            try:
                read_value = reader(value)
            except (ValueError, TypeError, OverflowError) as error:
                raise NotARule(f"{name} must be {what}.") from error
            (match if name in Match.__dataclass_fields__ else effect)[name] = read_value
        else:
            raise NotARule(f"A rule has no {name!r}; it may have preset, {', '.join(FIELDS)}.")
    return Rule(replace(Match(), **match), replace(preset, **effect), said)  # type: ignore[arg-type]  # read above


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _whole(low: int, high: int) -> Callable[[object], int]:
    def reader(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError
        return value

    return reader


def _number(low: float, high: float) -> Callable[[object], float]:
    def reader(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError
        if not math.isfinite(value) or not low <= value <= high:
            raise ValueError
        return float(value)

    return reader


def _one_of(words: tuple[str, ...]) -> Callable[[object], str]:
    def reader(value: object) -> str:
        if value not in words:
            raise ValueError
        return _text(value)

    return reader


def _status(value: object) -> int:
    return 0 if value == 0 else _whole(200, 599)(value)


def _code(value: object) -> int | str:
    return value if isinstance(value, str) else _whole(0, 2**31)(value)


def _id(value: object) -> str | int | None:
    return value if value is None or isinstance(value, str) else _whole(-(2**63), 2**63)(value)


def _pairs(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise TypeError
    for name, text in value.items():
        if re.search(r"[\r\n\0]", name + _text(text)) or not re.fullmatch(r"[A-Za-z0-9-]+", name):
            raise ValueError
    return tuple(value.items())


def _steps(value: object) -> Steps:
    if not isinstance(value, list):
        raise TypeError
    steps = [_text(step).partition(":") for step in value]
    return tuple((word, code) for word, _, code in steps)


_CALLS: Final = get_args(Purpose)
_CLOSES: Final = get_args(Closes)
_LINES: Final = get_args(Line)

FIELDS: Final[Mapping[str, tuple[str, Callable[[object], object]]]] = {
    "to": ("a number, or its beginning and *", _text),
    "account": ("an account's id", _text),
    "dialect": ("a provider's name", _text),
    "call": (f"one of {', '.join(_CALLS)}", _one_of(_CALLS)),
    "times": ("a whole number", _whole(0, 10**9)),
    "beyond": ("a number of messages a second", _number(0, 10**6)),
    "share": ("a number from 0 to 1", _number(0, 1)),
    "seed": ("a whole number", _whole(0, 2**63)),
    "status": ("an HTTP status from 200 to 599, or 0", _status),
    "code": ("a number or a text", _code),
    "words": ("a text", _text),
    "body": ("a text or one of the names in docs/sandbox.md", _text),
    "headers": ("an object of names and texts", _pairs),
    "id": ("a text, a whole number, or null", _id),
    "segments": ("a whole number", _whole(0, 10**6)),
    "line": (f"one of {', '.join(_LINES)}", _one_of(_LINES)),
    "accepts": ("true or false", _truth),
    "pause": ("seconds, at most 3600", _number(0, _LONGEST)),
    "delay": ("seconds, at most 3600", _number(0, _LONGEST)),
    "closes": ("one of unread, halfway, unanswered", _one_of(_CLOSES)),
    "reports": ('a list of words, or words with a code as in "undelivered:30003"', _steps),
    "lag": ("seconds, at most 3600", _number(0, _LONGEST)),
    "copies": ("a whole number from 1 to 1000", _whole(1, 1000)),
    "early": ("true or false", _truth),
    "signed": ("true or false", _truth),
    "known": ("true or false", _truth),
}
