"""Latchstring: a self-hosted invitation server."""
