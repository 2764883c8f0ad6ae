"""bury: SQS dead-letter queues."""
