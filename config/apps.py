from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Makes the house's own commands (`up`, `migrate`) visible to Django."""

    name = "config"
