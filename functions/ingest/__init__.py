"""ingest: HTTP API ``POST /api/v1/webhooks/{source}``."""
