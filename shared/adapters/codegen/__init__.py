"""Codegen's agent API, behind the port of an agent.

It knows no idempotency key and no callback, its statuses are free strings, and it may be switched off by its
owner: so a run carries our mark in its ``metadata``, everything it answers may be missing or malformed, and
that it is away is an answer too.
https://docs.codegen.com/api-reference
"""
