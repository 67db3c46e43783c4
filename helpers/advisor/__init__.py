"""The advisor: somebody's own data in, an answer with checks, costs and reasons out."""
