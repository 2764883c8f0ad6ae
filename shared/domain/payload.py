"""GitHub's payload: from the bytes of a delivery to a JSON object, or a refusal that names the fault."""

import json
from typing import Any, NoReturn

from shared.domain.errors import Refused

TYPE_JSON = "application/json"
TYPE_FORM = "application/x-www-form-urlencoded"

# Real payloads nest less than 15 deep. Half of what Python's JSON reader can take, so that a reader further down
# the stack can take it too; and above the number of brackets in nearly every payload, which spares it the walk.
MAX_NESTING = 500


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def malformed(code: str, message: str) -> Refused:
    """Returns the refusal of a delivery that no mend on our side could make readable."""
    return Refused(400, code, message)


def read_json(body: bytes, content_type: str) -> bytes:
    """Returns the JSON text in ``body``: the body itself, or its form field ``payload``.

    Raises:
        Refused: 400 when the form has no field ``payload``.
    """
    if content_type != TYPE_FORM:
        return body
    # A hook whose content type is "form" (GitHub's default) sends the JSON in a form field; the signature
    # covers the form as it came. Few hooks do, so the import waits for the first.
    from urllib.parse import parse_qs  # noqa: PLC0415 - 4 ms of cold start that JSON hooks need not pay

    # Latin-1 is bytes as text, one for one: parse_qs takes bytes too, but only those that decode to ASCII.
    try:
        fields = parse_qs(body.decode("latin-1"), strict_parsing=True, max_num_fields=8, encoding="latin-1")
    except ValueError:
        fields = {}
    if "payload" not in fields:
        raise malformed("no_payload_field", "a form-encoded delivery needs its JSON in a field named 'payload'")
    return fields["payload"][0].encode("latin-1")


def parse_payload(text: bytes) -> dict[str, Any]:
    """Parses the JSON text of a delivery.

    Raises:
        Refused: 400 when it is not UTF-8, not JSON (NaN and numbers of over 4,300 digits included), nested
            more than ``MAX_NESTING`` deep, or no object.
    """
    try:
        payload = _DECODER.decode(text.decode())
    except UnicodeDecodeError as error:
        raise malformed("invalid_utf8", f"the body is not UTF-8 at byte {error.start}") from None
    except json.JSONDecodeError as error:
        raise malformed("invalid_json", f"the body is not JSON at character {error.pos}: {error.msg}") from None
    except ValueError as error:
        message = str(error).partition(";")[0]  # the rest advises a Python developer, not a sender
        raise malformed("invalid_json", f"the body is not acceptable JSON: {message}") from None
    except RecursionError:
        raise _too_nested() from None
    if not isinstance(payload, dict):
        raise malformed("not_an_object", "the body must be a JSON object")
    # Counting openers is nearly free and spares almost every payload the walk.
    if text.count(b"{") + text.count(b"[") > MAX_NESTING and _is_nested_beyond(payload, MAX_NESTING):
        raise _too_nested()
    return payload


def _too_nested() -> Refused:
    return malformed("too_nested", f"the body nests more than {MAX_NESTING} levels deep")


def _is_nested_beyond(value: object, limit: int) -> bool:
    """Walks level by level, not recursively: the depth is what is being judged."""
    level = [value]
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)  # type: ignore[attr-defined]
            if type(child) is dict or type(child) is list
        ]
        if not level:
            return False
    return True
