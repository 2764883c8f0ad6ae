"""GitHub's REST API: one client, and an action a module member."""
