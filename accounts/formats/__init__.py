"""How moments and days are written in pages: one way in every language, to the second."""
