"""Sample payloads."""
