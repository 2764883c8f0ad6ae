"""One verb a module: what the orchestrator does, told in ports and rules."""
