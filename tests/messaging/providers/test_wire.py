"""What a carrier's headers ask of us."""

from hypothesis import given
from hypothesis import strategies as st

from messaging.providers import wire

DATES = ("Wed, 21 Oct 2015 07:28:00 GMT", "31 Dec 9999 23:59:59 -0000", "1 Jan 0 +99999 a : -- 1e9")
PARTS = st.sampled_from([part for date in DATES for part in date.split()] + ["9" * 21])


@given(st.text(max_size=60) | st.lists(PARTS, max_size=8).map(" ".join))
def test_no_retry_after_makes_it_fail(header: str) -> None:
    seconds = wire.retry_after({"Retry-After": header})

    assert seconds is None or seconds >= 0


def test_a_number_no_machine_can_count_is_no_date() -> None:
    assert wire.retry_after({"Retry-After": f"Feb {'9' * 21} 07:28:00 + +0000 21 --"}) is None


def test_a_date_without_a_zone_is_taken_for_utc() -> None:
    assert wire.retry_after({"Retry-After": "Fri, 31 Dec 9999 23:59:59 -0000"}) is not None
    assert wire.retry_after({}) is None
