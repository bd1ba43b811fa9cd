"""The admin's pages of who acts. One file a noun; importing the package registers them all."""

from accounts.admin import entrance, keys, members, organizations, terms, trail

__all__ = ["entrance", "keys", "members", "organizations", "terms", "trail"]
