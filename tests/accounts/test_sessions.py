"""What a refused sign-in is told. What signing in does is tested through the API."""

import pytest

from accounts import sessions


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(1, "in 1 minute."), (60, "in 1 minute."), (61, "in 2 minutes."), (900, "in 15 minutes.")],
)
def test_the_wait_is_told_in_whole_minutes(seconds: int, told: str) -> None:
    refusal = sessions.TooManyAttempts(seconds)

    assert str(refusal) == f"Too many attempts to sign in. Try again {told}"
    assert refusal.retry_after == seconds
