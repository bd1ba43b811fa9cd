"""What the API answers about sending, following and single messages."""
