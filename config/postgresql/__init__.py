"""The backend of DATABASES: Django's own, in whose `base` one question is asked less."""
