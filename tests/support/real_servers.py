"""The real servers of the local stack, for the tests of one session."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.local.servers import plan_servers
from shared.local.supervisor import Program, Supervisor

_SETTINGS = {"DATABASE_URL", "REDIS_URL", "AWS_ENDPOINT_URL", "POSTGRES_PORT", "VALKEY_PORT", "AWS_PORT"}


@contextmanager
def run_servers(prefix: str) -> Iterator[dict[str, str]]:
    """Gives the addresses of ``postgres``, ``valkey`` and ``aws``, all started for the block."""
    environment = {name: value for name, value in os.environ.items() if name not in _SETTINGS}
    # Not pytest's own folder: root's Postgres runs as somebody else, who could not pass it.
    with (
        tempfile.TemporaryDirectory(prefix=prefix) as directory,
        Supervisor(Path(directory) / "state") as supervisor,
    ):
        started = {}
        for server in plan_servers(supervisor.state_dir, environment, {}):
            supervisor.start(server)
            assert isinstance(server, Program)
            assert server.address is not None
            started[server.name] = server.address
        yield started
