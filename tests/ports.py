"""Ports that stay free between the moment they are chosen and the moment somebody listens."""

import random
import socket
from typing import Final

# The kernel draws none of these for outgoing connections, nor for whoever asks for any port.
PORTS: Final = range(10_000, 20_000)


def free_port() -> int:
    """Return a port of loopback that nobody has, for a process that is started next."""
    chance = random.SystemRandom()  # several runs side by side draw apart, whatever was seeded
    for port in chance.sample(PORTS, len(PORTS)):
        with socket.socket() as trial:
            try:
                trial.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise OSError("no free port")
