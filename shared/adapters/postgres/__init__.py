"""Postgres: the truth."""
