"""Keywords in what people write back: by table, and whatever surrounds the word."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging import keywords

LISTED = [
    *("STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "REVOKE", "OPTOUT", "opt out"),
    *("ARRET", "ARRÊT", "REMOVE", "BAJA", "ALTO", "CANCELAR", "SALIR"),
]

STOPS = [
    *LISTED,
    *(
        "stop",
        "Stop",
        "sToP",
        "stop.",
        "STOP!!!",
        " stop ",
        "\tstop\r\n",
        "“Stop”",
        "(stop)",
        "*stop*",
    ),
    *("S.T.O.P.", "s t o p", "opt-out", "Opt_Out", "OPT. OUT.", "stop all", "un-subscribe"),
    *(
        "\uff33\uff34\uff2f\uff30",
        "st\u200bop",
        "\ufeffstop",
        "\u202astop\u202c",
        "stop 🛑",
        "🛑STOP🛑",
        "Arrête",
        "arre\u0302t",
    ),
    *(
        "Stop please",
        "please STOP",
        "STOP, thanks!",
        "stop texting me",
        "Stop sending me these messages.",
    ),
    *(
        "please remove me from your list",
        "unsubscribe me",
        "Cancel all texts now",
        "STOP STOP STOP",
    ),
    *(
        "baja por favor",
        "quiero darme de baja",
        "dar de baja, gracias",
        "CANCELAR YA",
        "alto!",
        "salir!",
    ),
    *("arret svp", "ARRÊT s'il vous plaît", "Arrêtez", "arrêter"),
    *("Stop it", "stop that, please", "Stop contacting me", "stop msgs/thx", "Re: STOP"),
    *("STOP. Sent from my iPhone", "BAJA\n\nEnviado desde mi Samsung Galaxy"),
    *("STOP!!! STOP!!! I said stop", "Unsub", "Unsuscribe", "Please leave me alone!"),
    *("No more texts", "no more messages please", "Don\u2019t text me again", "do not text me"),
    *("Please stop this service", "revoke my consent"),
    *("cancela", "Cancele por favor", "parar", "¡Basta ya!", "eliminar", "borrarme de la lista"),
    *("desuscribirme", "no más mensajes", "No quiero más mensajes", "no me manden más sms"),
    *("Dejen de enviarme mensajes", "Quiero cancelar", "quiero salir"),
]

OTHERS = [
    *("", " ", ".", "🛑", "0", "👍", "ok", "gracias", "please", "thanks", "no", "sí"),
    *(
        "don't stop",
        "Please don\u2019t stop",
        "never stop",
        "no stop",
        "stop it? no!",
        "unstoppable",
    ),
    *("the bus stop", "cancel my appointment", "End of June works for me", "end2end", "weekend"),
    *("no me den de baja todavía", "la voz baja del fondo", "baja el precio", "salir a comer"),
    *(
        "HELP STOP",
        "start stop",
        "stop 2",
        "stopp",
        "sto",
        "ESTOP",
        "nonstop",
        "full stop next line",
    ),
    *("Stop by at 5?", "Cancel my service", "cancel the service", "Cancelar mi servicio"),
    *("Quiero cancelar mi cita", "cancela mi pedido", "cancel it", "Cancel my iPhone", "I quit"),
    *("End of the list", "I want to end it", "Sent from my iPhone", "I said", "I said no"),
    *(
        "no more",
        "No more of it",
        "No, gracias por el mensaje",
        "Don\u2019t",
        "don\u2019t stop texting",
    ),
    *(
        "I don\u2019t get your texts",
        "no more texts than these two",
        "Dejé mensaje",
        "leave it alone",
    ),
    *("para mí", "con eso basta", "alone", "no quiero parar", "no me mandes flores"),
    *("\u0421\u0422\u041e\u041f", "x" * 5_000, "stop " * 3 + "x"),
]


@pytest.mark.parametrize("text", STOPS)
def test_S29_it_is_a_stop(text: str) -> None:
    assert keywords.read(text) == "STOP"


@pytest.mark.parametrize("text", OTHERS)
def test_S29_other_words_are_for_people_to_read(text: str) -> None:
    assert keywords.read(text) == ""


@pytest.mark.parametrize(
    "text", ["START", "start.", " Start! ", "s t a r t", "UNSTOP", "un-stop", "Alta"]
)
def test_S29_start_stands_alone(text: str) -> None:
    assert keywords.read(text) == "START"


@pytest.mark.parametrize(
    "text", ["start please", "when do you start", "start again", "alta tensión", "yes"]
)
def test_consent_is_not_read_into_other_words(text: str) -> None:
    assert keywords.read(text) == ""


@pytest.mark.parametrize("text", ["HELP", "help?", "Info", "AYUDA", "¡ayuda!"])
def test_S29_help_is_told_apart(text: str) -> None:
    assert keywords.read(text) == "HELP"


@pytest.mark.parametrize("text", ["no más", "NO MAS!", "Nomás", "no mas por favor", "pare"])
def test_an_installation_adds_its_own_words(text: str) -> None:
    assert keywords.read(text) == ""
    assert keywords.read(text, further_stops=("No más", " PARE ", "", "!!")) == "STOP"


def test_its_own_words_take_none_away() -> None:
    assert keywords.read("stop", further_stops=("start",)) == "STOP"
    assert keywords.read("start", further_stops=("start",)) == "STOP"
    assert keywords.read("", further_stops=("", "!")) == ""


@given(
    word=st.sampled_from(LISTED),
    before=st.text(st.characters(categories=["P", "S", "Z", "Cc", "Cf"]), max_size=20),
    after=st.text(st.characters(categories=["P", "S", "Z", "Cc", "Cf"]), max_size=20),
    case=st.sampled_from([str.upper, str.lower, str.title, str.swapcase]),
)
def test_S29_nothing_that_is_no_letter_hides_a_stop(word, before, after, case) -> None:
    # What NFKC makes letters of, such as ™, is a letter.
    around = unicodedata.normalize("NFKD", before + after)
    if not any(character.isalnum() for character in around):
        assert keywords.read(f"{before}{case(word)}{after}") == "STOP"


@given(st.text(max_size=500))
def test_whatever_is_written_something_comes_of_it(text: str) -> None:
    assert keywords.read(text) in {"STOP", "START", "HELP", ""}
