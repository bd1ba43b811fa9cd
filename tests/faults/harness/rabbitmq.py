"""A RabbitMQ of a test's own, where one is installed: the other broker that Celery takes."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from config.processes import Program
from tests.faults.harness.parts import Part
from tests.faults.harness.waiting import until
from tests.ports import free_port

PROGRAM = shutil.which("rabbitmq-server", path=f"/usr/lib/rabbitmq/bin:{os.environ['PATH']}")


@contextlib.contextmanager
def rabbitmq(folder: Path) -> Iterator[str]:
    """Start RabbitMQ with all its files in the folder, yield its URL, and end it."""
    assert PROGRAM is not None
    port, names = free_port(), free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),  # the cookie by which its processes know each other
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(names),
        "RABBITMQ_NODENAME": "pregon@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_CONFIG_FILE": str(folder / "none"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
    }
    log = folder / "rabbitmq.log"
    started = []
    try:
        for name, argv in (("epmd", ("epmd", "-port", str(names))), ("rabbitmq", (PROGRAM,))):
            part = Part(Program(name=name, argv=argv, cwd=folder, env=environment, log=log))
            started.append(part)
            part.start()
        until(lambda: "Starting broker... completed" in log.read_text(), 120, "RabbitMQ has begun")
        yield f"amqp://guest:guest@127.0.0.1:{port}//"
    finally:
        for part in reversed(started):
            part.kill()
