"""A clock that stands still until it is told to go on."""


class ManualClock:
    """Seconds since 1970, UTC, of a fixed day."""

    def __init__(self, now: float = 1_790_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        """Returns the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Goes on."""
        self.now += seconds
