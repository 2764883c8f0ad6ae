"""The client of Codegen's API: what its refusals mean."""

from collections.abc import Mapping
from typing import Any

import httpx

from shared.adapters.absences import Absences, is_unresolvable
from shared.adapters.http import read_object, read_retry_after, send_request
from shared.domain.errors import Limited, Permanent, Transient, Unavailable

UPSTREAM = "codegen"
# Its 429 names no time; its budgets are counted by the minute.
LIMIT_SECONDS = 60.0

_ABSENT = {
    httpx.codes.PAYMENT_REQUIRED: "the plan's runs are used up",
    httpx.codes.GONE: "codegen is gone",
}


class NotFound(Permanent):
    """Codegen answered 404: what that means depends on what was asked for."""


class CodegenClient:
    """Requests in the name of one organisation.

    Args:
        client: with Codegen's address as its base.
        token: of the API.
        org_id: the organisation that pays for the runs.
        absences: where the fleet keeps that Codegen is away.
    """

    def __init__(self, client: httpx.Client, token: str, org_id: int, absences: Absences) -> None:
        self._client = client
        self._token = token
        self._organization = f"/v1/organizations/{org_id}/agent"
        self._absences = absences

    def require(self) -> None:
        """Raises Unavailable, without asking, when some worker was told lately that Codegen is away."""
        reason = self._absences.find(UPSTREAM)
        if reason is not None:
            raise Unavailable(reason)

    def declare_absent(self, reason: str) -> Unavailable:
        """Returns the error to raise, after having told the fleet."""
        reason = f"agent unavailable: {reason}"
        self._absences.remember(UPSTREAM, reason)
        return Unavailable(reason)

    def request(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, Any] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Sends a request and returns the object it answered; an empty one when it answered something else.

        Raises:
            Transient, OutcomeUnknown: see ``shared.adapters.http.send_request``.
            Limited: 429.
            Unavailable: 402, 410, or an address whose name does not exist.
            NotFound: 404.
            Permanent: any other refusal, 401, 403 and 422 among them: somebody has to mend something.
        """
        try:
            response = send_request(
                self._client,
                UPSTREAM,
                method,
                self._organization + path,
                headers={"authorization": f"Bearer {self._token}"},
                json=json,
                params=params,
            )
        except Transient as error:
            if is_unresolvable(error):
                raise self.declare_absent("codegen's address does not exist") from error
            raise
        body = read_object(response)
        if response.is_success:
            return body
        status = response.status_code
        reason = f"codegen answered {status} to {method} {path}: {_read_message(body)}"
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise Limited(UPSTREAM, reason, max(read_retry_after(response) or 0.0, LIMIT_SECONDS))
        if status in _ABSENT:
            raise self.declare_absent(f"{_ABSENT[httpx.codes(status)]} ({reason})")
        if status == httpx.codes.NOT_FOUND:
            raise NotFound(reason)
        raise Permanent(reason)


def _read_message(body: Mapping[str, Any]) -> str:
    """Returns the text of either shape in use: ``message``, and ``detail``, which is a text or FastAPI's list."""
    told = body.get("message") or body.get("detail")
    if not isinstance(told, list):
        return str(told or "")
    faults = [fault for fault in told if isinstance(fault, dict)]
    return "; ".join(f"{'.'.join(map(str, _list(fault.get('loc'))))}: {fault.get('msg')}" for fault in faults)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
