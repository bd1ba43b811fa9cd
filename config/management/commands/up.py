"""`manage.py up`: everything Pregón needs, on one machine, in one terminal."""

import argparse
import contextlib
import os
import socket
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connections

from accounts.models import Member
from config import demo, first_broadcast, parts, servers
from config.embedded import EmbeddedError, Layout, Lock
from config.first_broadcast import NotDelivered
from config.processes import NotReady, Program, Stopped, Supervisor

_HOST = "127.0.0.1"
_SERVER_START = 300.0  # seconds; after a crash PostgreSQL first repairs itself
_WEB_START = 90.0  # seconds

_WELCOME = """
Pregón is ready at {url}

  admin      {url}/{admin_path}
  API docs   {url}/api/docs
  sign in    {email} / {password}, who may send
             {admin} / {password}, who runs the platform

Send your first broadcast from another terminal:

  TOKEN=$(curl -s {url}/api/auth/sign-in -H 'Content-Type: application/json' \\
    -d '{{"email": "{email}", "password": "{password}"}}' \\
    | python3 -c 'import json, sys; print(json.load(sys.stdin)["accessToken"])')
  curl {url}/api/messages/sms/all -H "Authorization: Bearer $TOKEN" \\
    -H 'Content-Type: application/json' -d '{{"message": "Hola", "country": "CO"}}'

Ctrl-C stops everything.
"""


class Command(BaseCommand):
    help = "Start the servers, the web, the worker, the dispatcher and in development the carrier."
    requires_system_checks: list[str] = []  # they ask the database, which is not up yet

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--demo",
            action="store_true",
            help="send one broadcast, show that all of it is delivered, and stop; without "
            "PREGON_STATE from a fresh state that is thrown away",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        environment = settings.ENVIRONMENT
        # Beside a Pregón that runs already, unless the port was chosen.
        chosen = not options["demo"] or "PORT" in os.environ
        self.port: int = environment.port if chosen else _any_free_port()
        self.layout = Layout.of(environment.state)
        try:
            lock = Lock(self.layout, address=f"http://{_HOST}:{self.port}")
        except EmbeddedError as error:
            raise CommandError(str(error)) from error
        sandbox = f"//{_HOST}:{self.layout.sandbox_port}"
        self.has_sandbox = any(sandbox in url for url in settings.SMS_PROVIDERS)
        self.supervisor = Supervisor(record=self.layout.children, say=self._say)
        self.supervisor.listen()
        try:
            self.supervisor.end_orphans()
            self._start()
            if options["demo"]:
                if not self.has_sandbox:
                    raise CommandError("The demo sends to the sandbox only: unset SMS_PROVIDERS.")
                first_broadcast.send(
                    port=self.port,
                    email=demo.EMAIL,
                    password=demo.PASSWORD,
                    wait=self.supervisor.wait,
                    say=self._say,
                )
            else:
                self._welcome()
                while True:
                    self.supervisor.wait(60)
        except Stopped:
            self._say("Stopping.")
        except (EmbeddedError, NotDelivered, NotReady) as error:
            raise CommandError(str(error)) from error
        finally:
            self.supervisor.stop()
            lock.release()

    def _say(self, line: str) -> None:
        try:
            self.stdout.write(line)
            self.stdout.flush()
        except OSError:
            pass  # the terminal was closed: nobody listens, and the stop must go on

    def _start(self) -> None:
        self._require_free_port()
        self._start_servers()
        self._say("Migrating the database.")
        try:
            call_command("migrate", interactive=False, verbosity=0)
        except OperationalError as error:
            raise CommandError(f"The database of DATABASE_URL does not answer: {error}") from error
        self.check()  # says once what would make every part end at once
        if self.has_sandbox:  # the demo's numbers may be people's
            demo.fill()
        self.has_demo = Member.objects.filter(email=demo.EMAIL).exists()
        connections.close_all()
        self._start_parts()
        self.supervisor.wait_until(
            "The web server", lambda: first_broadcast.is_alive(self.port), seconds=_WEB_START
        )

    def _require_free_port(self) -> None:
        if not _is_free(self.port):
            raise CommandError(
                f"Port {self.port} is taken. Set PORT to a free one, as PORT={self.port + 1}."
            )

    def _start_servers(self) -> None:
        """Start those of the two that no URL replaces, and wait until each answers."""
        environment, layout = settings.ENVIRONMENT, self.layout
        wanted: list[servers.Server] = []
        if environment.database_url == layout.database_url:
            wanted.append(servers.PostgreSQL(layout))
        if environment.redis_url == layout.redis_url:
            wanted.append(servers.Valkey(layout))
        for server in wanted:
            self._say(f"Starting {server.name}.")
            server.prepare()
            self.supervisor.start(server.program())
            self.supervisor.wait_until(server.name, server.is_ready, seconds=_SERVER_START)
            server.settle()

    def _start_parts(self) -> None:
        layout = self.layout
        if self.has_sandbox:
            # The parts read it when they start.
            port = layout.sandbox_port if _is_free(layout.sandbox_port) else _any_free_port()
            layout.settle_sandbox_port(port)
            owed = layout.state / "sandbox-owed"
            self._start_part("sandbox carrier", parts.sandbox_carrier(port=port, state=owed))
        # Stopped in reverse: while the worker ends the calls it has begun, their reports are taken.
        self._start_part("web", parts.web(bind=f"{_HOST}:{self.port}"))
        self._start_part("worker", parts.worker())
        self._start_part("dispatcher", parts.DISPATCHER)

    def _start_part(self, name: str, command: parts.Command) -> None:
        self._say(f"Starting {name}.")
        environment = os.environ | {
            "PREGON_STATE": str(self.layout.state),
            "PORT": str(self.port),
            # Started by root the parts stay root: nobody else may be able to read this environment.
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        }
        argv = parts.here(command)
        self.supervisor.start(Program(name=name, argv=argv, cwd=settings.BASE_DIR, env=environment))

    def _welcome(self) -> None:
        url = f"http://{_HOST}:{self.port}"
        if self.has_demo:
            self._say(
                _WELCOME.format(
                    url=url,
                    admin_path=settings.ADMIN_PATH,
                    email=demo.EMAIL,
                    admin=demo.ADMIN_EMAIL,
                    password=demo.PASSWORD,
                )
            )
        else:
            self._say(f"\nPregón is ready at {url}\nCtrl-C stops everything.\n")


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((_HOST, port))
        except OSError:
            return False
    return True


def _any_free_port() -> int:
    with contextlib.closing(socket.socket()) as trial:
        trial.bind((_HOST, 0))
        port: int = trial.getsockname()[1]
        return port
