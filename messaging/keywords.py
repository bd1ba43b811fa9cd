"""What a reply asks for: to be left alone, to be written to again, or for help.

A reply stops everything when nothing but an opt-out word is left of it once case, accents, dots,
punctuation, spaces and words of courtesy are gone: `stop.`, `S.T.O.P`, `Opt-out!`, `ARRÊT`, `Stop
please`, `por favor cancelar`. Twilio takes the single word alone, AWS every reply that begins with it.
The first is too narrow for the law, which takes any words that a reasonable person would understand as
a request to stop (47 CFR 64.1200(a)(10)); the second silences "End of June works for me". So a reply
with anything else in it, such as "don't stop" or "cancel my appointment", is for people to read.

In doubt, that nothing is named decides. "Quiero cancelar" stops everything, as CANCELAR does: a STOP
too many is lifted by hand, one too few breaks the law. "Cancel my service" and "cancel it" may mean what
the organization sells, "no more" and "no más" may answer a question: those are for people, unlike "stop
it" and "no more texts".

Whoever asks to be written to again gives consent, so those words count only when they stand alone.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Final, Literal, TypeAlias

Effect: TypeAlias = Literal["STOP", "START", "HELP", ""]

# Twilio's list, AWS's REMOVE and ARRET, and how people put them. In one word each, as they are compared.
STOP: Final = frozenset(
    {
        *("stop", "stopall", "unsubscribe", "end", "quit", "cancel", "revoke", "optout", "remove"),
        *("unsub", "unsuscribe", "stopit", "stopthat", "leavealone"),  # "leave me alone"
        *("stopservice", "unsubscribeservice"),  # "stop this service"
        *("arret", "arrete", "arreter", "arretez"),
        *("baja", "alto", "basta", "salir", "parar", "cancelar", "cancela", "cancele", "cancelen"),
        *("desuscribir", "desuscribirme", "eliminar", "eliminarme", "borrarme"),
        *("dejenenviarme", "dejenmandarme", "dejenescribirme"),  # "dejen de enviarme mensajes"
    }
)
START: Final = frozenset({"start", "unstop", "alta"})  # ALTA is what undoes BAJA
HELP: Final = frozenset({"help", "info", "ayuda"})

_MESSAGES: Final = frozenset(
    {
        *("message", "messages", "msg", "msgs", "text", "texts", "txt", "txts", "sms"),
        *("mensaje", "mensajes"),
    }
)
# Opt-outs where the messages are named along with them: "no quiero más mensajes", "don't text me".
_NO_MORE: Final = frozenset(
    {"nomore", "dont", "donot", "nomas", "noenvienmas", "nomandenmas", "noescribanmas"}
)
# Said along with an opt-out, these change nothing about it.
_COURTESY: Final = _MESSAGES | frozenset(
    {
        *("please", "pls", "plz", "thanks", "thank", "you", "thx", "now", "anymore", "again", "re"),
        *("me", "my", "the", "this", "these", "all", "your", "from", "list", "consent"),
        *("sending", "texting", "messaging", "contacting", "bothering"),
        *("por", "favor", "gracias", "ya", "mi", "mis", "la", "las", "el", "los", "de", "del"),
        *("sus", "todo", "todos", "lista", "dar", "darme", "dame", "denme", "quiero"),
        *("svp", "s", "il", "vous", "te", "plait", "merci"),
    }
)
# Courtesy only as a whole: "I quit" and "cancel my iPhone" are none.
_ADDED: Final = re.compile(
    r"\bi said\b|\b(?:sent from my|enviado desde mi)(?: \S+){1,3}$"  # as telephones sign
)

_WORD: Final = re.compile(r"[^\W_]+")


def read(text: str, *, further_stops: Collection[str] = ()) -> Effect:
    """Return what a reply asks for; nothing where it is no keyword, which is most of what people write."""
    words = _words(text)
    stops = STOP | _in_one_word(tuple(further_stops))
    if _asks_to_stop(words, stops):
        return "STOP"
    alone = "".join(words)
    if alone in START:
        return "START"
    return "HELP" if alone in HELP else ""


def _asks_to_stop(words: list[str], stops: Collection[str]) -> bool:
    said = _ADDED.sub("", " ".join(words)).split()
    rest = [word for word in said if word not in _COURTESY]
    return (
        "".join(said) in stops  # "opt out", "s t o p"
        or "".join(rest) in stops
        or (bool(rest) and all(word in stops for word in rest))  # "STOP STOP"
        or ("".join(rest) in _NO_MORE and not _MESSAGES.isdisjoint(said))
    )


@lru_cache(maxsize=8)
def _in_one_word(phrases: Iterable[str]) -> frozenset[str]:
    return frozenset(filter(None, ("".join(_words(phrase)) for phrase in phrases)))


def _words(text: str) -> list[str]:
    """Return the words without case and accents; emoji, punctuation and invisible marks part them."""
    plain = "".join(
        character
        for character in unicodedata.normalize("NFKD", text)
        if unicodedata.category(character) != "Mn"
    )
    return _WORD.findall(plain.casefold())
