"""The form of every JSON answer of the sandbox servers."""

import json

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.responses import Response


class JsonAnswer(Response):
    """JSON in pure ASCII: text may hold lone surrogates, which no other encoding of it can carry."""

    media_type = "application/json; charset=utf-8"

    def render(self, content: object) -> bytes:
        """Returns the content as JSON bytes."""
        return json.dumps(content, separators=(",", ":")).encode("ascii")


async def answer_invalid_request(request: Request, error: RequestValidationError) -> JsonAnswer:
    """Answers 422 in FastAPI's shape, naming each field at fault.

    https://fastapi.tiangolo.com/tutorial/handling-errors/#override-request-validation-exceptions
    """
    del request
    faults = [{key: fault[key] for key in ("loc", "msg", "type")} for fault in error.errors()]
    return JsonAnswer({"detail": faults}, 422)
