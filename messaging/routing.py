"""Which provider takes the next claim: by weight, among those that work and have tokens."""

import random
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from math import ceil, inf
from typing import Final

from accounts.rate_limits import Bucket
from messaging import breaker, providers
from messaging.breaker import WELL, State
from messaging.providers.base import Provider
from messaging.timings import TIMINGS

# Seconds of a rate that are taken at a time: so little that whoever waits beside others, a broadcast of
# ten beside one of a million, has his turn soon.
_TAKEN_AT_ONCE: Final = TIMINGS.drain / 8


@dataclass(frozen=True, slots=True)
class Turn:
    """One provider's next claim: so many messages, in so many seconds."""

    provider: Provider
    tokens: int
    wait: float
    is_probe: bool  # one message to a credential whose breaker is open
    states: dict[str, State] = field(repr=False)  # of all credentials that are not simply well

    @property
    def state(self) -> State:
        return self.states.get(self.provider.name, WELL)

    def give_back(self, tokens: int) -> None:
        """Return tokens that no message used; of a probe, also the right to it."""
        bucket(self.provider).give_back(tokens)
        if self.is_probe and tokens:
            breaker.withdraw_probe(self.provider.name)


@dataclass(frozen=True, slots=True)
class Nobody:
    """No provider takes anything now."""

    wait: float  # seconds until one has tokens again; infinite where that is not what is missing


def choose(
    *, kind: str, most: int, patience: float, without: Collection[str] = ()
) -> Turn | Nobody:
    """Return whose turn it is to take messages of this kind, of which there are at most so many.

    Left out are the providers named in `without`, those whose breaker is open (but for one message that
    tries them, of one caller alone), and those without tokens for longer than `patience` seconds.

    Raises: NoProvider when none carries this kind at all.
    """
    carriers = providers.candidates(kind=kind)
    if all(provider.name in without for provider in carriers):
        return Nobody(inf)
    states = breaker.states([provider.name for provider in carriers])
    candidates = [
        provider
        for provider in carriers
        if provider.name not in without and _is_possible(states.get(provider.name, WELL))
    ]
    candidates.sort(key=lambda provider: random.random() ** (1 / provider.weight), reverse=True)  # noqa: S311 - shares the load
    # Whoever has tokens now goes before whoever has some soon.
    waits: dict[str, float] = {}
    for own_patience in (0.0, patience) if len(candidates) > 1 else (patience,):
        for provider in sorted(candidates, key=lambda provider: waits.get(provider.name, 0.0)):
            turn = _take(provider, states, most=most, patience=own_patience)
            if isinstance(turn, Turn):
                return turn
            waits[provider.name] = turn.wait
    return Nobody(min(waits.values(), default=inf))


def elsewhere(
    *, kind: str, states: Mapping[str, State], without: Collection[str]
) -> frozenset[str] | None:
    """Return the countries that other providers carry now; None is every country."""
    others = [
        provider
        for provider in providers.candidates(kind=kind)
        if provider.name not in without and not states.get(provider.name, WELL).is_open
    ]
    if any(not provider.countries for provider in others):
        return None
    return frozenset().union(*(provider.countries for provider in others))


def bucket(provider: Provider) -> Bucket:
    """Return the tokens of a credential, which all workers share."""
    return Bucket(f"provider:{provider.name}", rate=provider.rate)


def _is_possible(state: State) -> bool:
    return state.may_probe or not state.is_open


def _take(
    provider: Provider, states: dict[str, State], *, most: int, patience: float
) -> Turn | Nobody:
    is_probe = states.get(provider.name, WELL).is_open
    amount = 1 if is_probe else max(1, most)
    if provider.rate is not None:
        amount = min(amount, max(1, ceil(provider.rate * _TAKEN_AT_ONCE)))
    taken = bucket(provider).take(amount=amount, patience=patience)
    if not taken.granted:
        return Nobody(taken.wait)
    turn = Turn(provider, taken.granted, taken.wait, is_probe, states)
    if is_probe and not breaker.begin_probe(provider.name):
        bucket(provider).give_back(taken.granted)
        return Nobody(inf)
    return turn
