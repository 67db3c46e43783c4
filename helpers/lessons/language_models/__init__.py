"""Language models: adapting a decoder, what that costs, and what is on record of it."""
