"""The article's claims, and how each is tested on the records."""
