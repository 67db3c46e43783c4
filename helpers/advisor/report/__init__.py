"""The answer for own data as JSON, as text and as a page."""
