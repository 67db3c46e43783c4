"""Language models: adapting a decoder, and what that costs."""
