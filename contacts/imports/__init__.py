"""Bringing contacts in from files: reading them, matching columns, working through the rows."""
