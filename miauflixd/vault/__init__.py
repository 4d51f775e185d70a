"""Secrets at rest: the key of this house, and what is sealed with it."""
