"""`endpoints.json`: what runs on this machine, as which process, at which address."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TypedDict
from urllib.parse import urlsplit

from shared.local.free_ports import HOST

# In a URL's user part, as a URL's parameter, or in a libpq connection string.
_URL_PASSWORD = re.compile(r"(?<=://)([^/@:]*):[^/]*(?=@)")
_PASSWORD_WORD = re.compile(r"(password\s*=\s*)('(?:\\.|[^'])*'|[^&\s]+)", re.IGNORECASE)


class Endpoint(TypedDict):
    """One line of the file: `pid` is null for what does not run or is none of our processes."""

    pid: int | None
    address: str | None


def write_endpoints(path: Path, endpoints: Mapping[str, Endpoint]) -> None:
    """Write the file so that a reader sees the old one or the new one, never a half."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(endpoints, indent=2) + "\n")
    draft.chmod(0o600)
    draft.replace(path)


def read_endpoints(path: Path) -> dict[str, Endpoint]:
    """Read the file; a missing or a damaged one says nothing."""
    try:
        endpoints: dict[str, Endpoint] = json.loads(path.read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return endpoints


def find_ports(endpoints: Mapping[str, Endpoint]) -> dict[str, int]:
    """Find the ports of this machine in the addresses, by name."""
    ports = {}
    for name, endpoint in endpoints.items():
        address = urlsplit(endpoint["address"] or "")
        if address.hostname == HOST and address.port:
            ports[name] = address.port
    return ports


def redact_password(address: str) -> str:
    """Replace the password in a URL or a libpq connection string by `***`."""
    return _PASSWORD_WORD.sub(r"\1***", _URL_PASSWORD.sub(r"\1:***", address))
