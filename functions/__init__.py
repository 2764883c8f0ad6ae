"""The Lambda functions: each handler parses its event, calls one use case and maps the result."""
