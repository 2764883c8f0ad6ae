"""reconcile: EventBridge schedule."""
