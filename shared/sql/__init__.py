"""SQL is SQL: named queries in ``.sql`` files, and numbered migrations beside them."""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def read_queries(file_name: str) -> dict[str, str]:
    """Returns the queries of a file by the names that ``-- name: x`` lines give them."""
    parts = _NAME.split(files(__name__).joinpath(file_name).read_text("utf-8"))
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}
