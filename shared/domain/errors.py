"""Errors, named by what the caller must do about them."""


class Refused(Exception):
    """A request is answered with ``status`` and goes no further.

    Attributes:
        status: the HTTP status code.
        code: a stable word for programs, also the metric's dimension (``bad_signature``).
        message: what is wrong and how to mend it, for a person.
        cause: what a service of ours answered, for the log and not for the sender; or None.
    """

    def __init__(self, status: int, code: str, message: str, cause: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.cause = cause


class Transient(Exception):
    """It did not work now and may later: try again.

    Attributes:
        after_seconds: how long the other side asked us to wait, or None.
    """

    def __init__(self, reason: str, after_seconds: float | None = None) -> None:
        super().__init__(reason)
        self.after_seconds = after_seconds


class Deferred(Transient):
    """It is not to be done yet: wait, without spending an attempt."""


class Limited(Deferred):
    """The upstream's budget is spent.

    Attributes:
        upstream: who limits us, ``github`` or ``codegen``.
    """

    def __init__(self, upstream: str, reason: str, after_seconds: float) -> None:
        super().__init__(reason, after_seconds)
        self.upstream = upstream


class OutcomeUnknown(Transient):
    """A write was sent and no answer came: it may have been applied, so look before writing again."""


class Permanent(Exception):
    """It will never work as it stands: give up, with the reason."""


class Declined(Exception):
    """A rule forbids it, now and later: the run ends, and no step for failures follows.

    Attributes:
        is_superseded: because something newer takes its place.
    """

    def __init__(self, reason: str, *, is_superseded: bool = False) -> None:
        super().__init__(reason)
        self.is_superseded = is_superseded


class Unavailable(Permanent):
    """The upstream is gone or refuses its service: the step fails softly, with the reason, and is not dead.

    Nobody has to mend the task: the steps for failures say it once, and the run ends as ``failed``.
    """
