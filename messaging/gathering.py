"""What several threads want to write at the same moment, written by one of them for all."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Place(Generic[T]):
    """One thread's item in the queue, and what became of it."""

    item: T
    was_tried: bool = False
    is_written: bool = False


class Gathering(Generic[T]):
    """Writes items together: while one thread writes, all that come wait, and the next writes for them.

    A commit waits for the disk and costs more than the row it is about: eight threads that commit at
    once pay for it eight times, gathered once. Whoever is alone waits for nobody.
    """

    def __init__(self, write: Callable[[Sequence[T]], None]) -> None:
        """`write` keeps all of the items it is given, or none and raises."""
        self._write = write
        self._waiting: deque[_Place[T]] = deque()  # its append and popleft need no lock
        self._turn = Lock()  # held by the thread that writes

    def add(self, item: T) -> None:
        """Return once the item was written, by this thread or another.

        Where writing together fails, each thread writes its own over its own connection: neither another's
        item nor another's connection costs it anything.

        Raises: what `write` raises of this item alone.
        """
        place = _Place(item)
        self._waiting.append(place)
        with self._turn:
            if not place.was_tried:
                self._try([self._waiting.popleft() for _ in range(len(self._waiting))])
        if not place.is_written:
            self._write([item])

    def _try(self, places: Sequence[_Place[T]]) -> None:
        """Write the items together. Of several, an error tells nothing yet: each is tried by itself."""
        for place in places:
            place.was_tried = True
        try:
            self._write([place.item for place in places])
        except Exception:
            if len(places) == 1:
                raise
        else:
            for place in places:
                place.is_written = True
