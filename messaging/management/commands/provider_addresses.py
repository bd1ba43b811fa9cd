"""Printing the addresses to enter at the carriers, so that they tell us what people write."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from messaging import providers
from messaging.providers.base import InvalidProviderURL


class Command(BaseCommand):
    help = (
        "Print the address to enter at each carrier as the webhook for incoming messages. One that "
        "ends in a token is a secret: whoever knows it can speak in the carrier's name."
    )

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Print a line for each provider of SMS_PROVIDERS: its name and its address."""
        try:
            configured = providers.configured()
        except InvalidProviderURL as error:
            raise CommandError(str(error)) from None
        for provider in configured:
            self.stdout.write(f"{provider.name}  {provider.inbound_url}")
