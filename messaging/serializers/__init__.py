"""What the wire says of broadcasts and messages, in camelCase, and how requests are read."""
