from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class MessagingConfig(AppConfig):
    name = "messaging"
    verbose_name = _("Messaging")

    def ready(self) -> None:
        """Register the start-up checks and what must be true of messages."""
        from billing import invariants as billing_invariants
        from messaging import checks, invariants  # noqa: F401

        billing_invariants.EVERY.extend(invariants.EVERY)
