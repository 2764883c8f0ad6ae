"""The command ``orchestrator``: workflows are checked, simulated and tried on stored deliveries, without AWS."""
