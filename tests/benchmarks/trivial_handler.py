"""A Lambda function that does nothing: what it costs is the runtime's, not a function's."""


def handle(_event: dict[str, object], _context: object) -> dict[str, object]:
    """Answers 202."""
    return {"statusCode": 202}
