"""api: HTTP API, everything that is not a webhook: REST API, documentation, health."""
