"""migrate: custom resource on deploy."""
