"""Django's PostgreSQL, which asks whether a connection stands only where there is a reason to doubt it."""

import select

from django.db.backends.postgresql import base


class DatabaseWrapper(base.DatabaseWrapper):
    """A connection to PostgreSQL, replaced before a request where it ended since it was last used.

    For CONN_HEALTH_CHECKS Django asks the server before the first statement of every request: a round
    trip that costs more than many a statement. But a server that ends a connection says goodbye, and
    the kernel notes it where the server vanished (`keepalives_*`): either way something lies in the
    socket. Where nothing does, there is nothing that an answer could tell; where something does, Django
    asks as ever.
    """

    def close_if_health_check_failed(self) -> None:
        if self.connection is not None and not self.connection.closed and not self._was_told():
            self.health_check_done = True
        super().close_if_health_check_failed()

    def _was_told(self) -> bool:
        """Return whether the server, or the kernel in its place, said something that nobody asked for."""
        socket = select.poll()  # select itself takes no numbers above 1023
        # An end and an error are always told.
        socket.register(self.connection.fileno(), select.POLLIN)
        return bool(socket.poll(0))
