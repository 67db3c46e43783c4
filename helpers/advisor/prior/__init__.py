"""What the records let expect of each approach on own data."""
