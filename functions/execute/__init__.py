"""execute: SQS ``tasks``."""
