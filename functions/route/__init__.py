"""route: SQS ``deliveries.fifo``."""
