from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Makes the house's own commands (`up`, `migrate`) and checks visible to Django."""

    name = "config"

    def ready(self) -> None:
        from config import checks  # noqa: F401 - registers them
