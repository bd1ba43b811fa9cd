"""The web server's own log lines, in the shape of all others."""

from typing import Any

from gunicorn.glogging import Logger

from config import env, logging


class WebServerLog(Logger):
    """What gunicorn says of itself, through the house's handler: JSON in production, masked."""

    def setup(self, cfg: Any) -> None:
        """Hand gunicorn's lines to the root logger; its parent process has no settings that did so."""
        super().setup(cfg)  # type: ignore[no-untyped-call]  # gunicorn has none
        environment = env.read()
        logging.configure(production=environment.production, level=environment.log_level)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True
