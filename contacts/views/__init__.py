"""What the API answers about contacts, tags and opt-outs."""
