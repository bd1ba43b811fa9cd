from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class AccountsConfig(AppConfig):
    name = "accounts"
    verbose_name = _("Accounts")

    def ready(self) -> None:
        """Register the checks at start and the API's security scheme."""
        from accounts import checks  # noqa: F401 - needs the apps loaded
        from accounts.doors import schema  # noqa: F401 - as above
