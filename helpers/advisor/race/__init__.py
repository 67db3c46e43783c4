"""The race: runs on own data until the best approach is clear or the time is up."""
