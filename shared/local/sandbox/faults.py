"""Scripted misbehaviour: what a sandbox server shall do wrong, to which requests, and how often."""

import re
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from shared.local.sandbox.store import Store

SCHEMA = """
CREATE TABLE IF NOT EXISTS faults (
    id INTEGER PRIMARY KEY AUTOINCREMENT, definition TEXT NOT NULL, times_left INTEGER NOT NULL
);
"""

UNTIL_RESET = -1

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9-]+$", to_lower=True)]
HeaderValue = Annotated[str, StringConstraints(pattern=r"^[\x20-\x7e]*$")]


class Fault(BaseModel):
    """One kind of misbehaviour.

    Attributes:
        method: the requests it strikes; None strikes all.
        path: a regular expression searched in the path as it was sent; None strikes all.
        times: how many requests it strikes; -1 goes on until the faults are cleared.
        status: answered instead of carrying the request out; None carries it out.
        applied: carries the request out all the same, and then answers the status.
        retry_after: seconds, sent as ``Retry-After``.
        headers: sent too, in place of the server's own of the same name.
        body: sent in place of the server's own; a string is sent as it is, as HTML.
        delay_seconds: how long the answer is held back, after the request was carried out.
        cut: closes the connection without an answer, ``before`` or ``after`` carrying the request out.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True)

    method: Annotated[str, StringConstraints(to_upper=True)] | None = None
    path: re.Pattern[str] | None = None
    times: int = 1
    status: int | None = Field(default=None, ge=200, le=599)
    applied: bool = False
    retry_after: int | None = Field(default=None, ge=0)
    headers: dict[HeaderName, HeaderValue] | None = None
    body: JsonValue = None
    delay_seconds: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    cut: Literal["before", "after"] | None = None

    @field_validator("times")
    @classmethod
    def _refuse_no_times(cls, times: int) -> int:
        if times < 1 and times != UNTIL_RESET:
            raise ValueError("must be 1 or more, or -1 to go on until the faults are cleared")
        return times

    @field_validator("cut")
    @classmethod
    def _refuse_cut_with_status(cls, cut: str | None, info: ValidationInfo) -> str | None:
        if cut and info.data.get("status") is not None:
            raise ValueError("sends no answer, so it does not go with a status")
        return cut

    def is_struck(self, method: str, path: str) -> bool:
        """Tells whether a request is one of those that this fault is for."""
        return self.method in {None, method} and (self.path is None or self.path.search(path) is not None)

    def list_headers(self) -> dict[str, str]:
        """Returns the headers this fault adds to the answer, names in lower case."""
        wait = {} if self.retry_after is None else {"retry-after": str(self.retry_after)}
        return wait | (self.headers or {})


class FaultList:
    """The faults in force, in the order they were given; they outlive the process like all other state."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: dict[int, tuple[Fault, int]] = {
            row["id"]: (Fault.model_validate_json(row["definition"]), row["times_left"])
            for row in store.list_rows("SELECT id, definition, times_left FROM faults ORDER BY id")
        }

    def add_faults(self, faults: list[Fault]) -> None:
        """Appends faults to those in force."""
        for fault in faults:
            values = (fault.model_dump_json(), fault.times)
            row_id = self._store.insert_row("INSERT INTO faults (definition, times_left) VALUES (?, ?)", values)
            self._pending[row_id] = (fault, fault.times)

    def take_fault(self, method: str, path: str) -> Fault | None:
        """Returns the first fault that strikes this request, spending one of its times."""
        for row_id, (fault, times_left) in self._pending.items():
            if fault.is_struck(method, path):
                self._spend_time(row_id, fault, times_left)
                return fault
        return None

    def _spend_time(self, row_id: int, fault: Fault, times_left: int) -> None:
        if times_left == UNTIL_RESET:
            return
        if times_left == 1:
            del self._pending[row_id]
            self._store.change_rows("DELETE FROM faults WHERE id = ?", (row_id,))
            return
        self._pending[row_id] = (fault, times_left - 1)
        self._store.change_rows("UPDATE faults SET times_left = times_left - 1 WHERE id = ?", (row_id,))

    def list_faults(self) -> list[JsonValue]:
        """Returns the faults in force, ``times`` being what is left of them."""
        return [fault.model_dump(mode="json") | {"times": times_left} for fault, times_left in self._pending.values()]

    def clear(self) -> None:
        """Forgets all faults."""
        self._pending.clear()
        self._store.change_rows("DELETE FROM faults")
