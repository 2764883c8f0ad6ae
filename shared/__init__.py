"""Webhook Orchestrator: the package that every function shares."""
