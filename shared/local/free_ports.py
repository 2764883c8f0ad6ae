"""Ports of 127.0.0.1 that local servers can listen on."""

import errno
import socket
from collections.abc import Collection

HOST = "127.0.0.1"


class PortInUse(RuntimeError):
    """The port that a setting asks for is taken by another process."""

    def __init__(self, port: int, setting: str) -> None:
        super().__init__(
            f"port {port} of {HOST}, chosen by {setting}, is in use by another process: "
            f"end that process or set {setting} to another port"
        )
        self.port = port
        self.setting = setting


def is_free(port: int) -> bool:
    """Tell whether a server could listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # Servers set this too: connections that linger after a restart do not keep them from listening.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            return False
        return True


def choose_port(
    setting: str, *, requested: int | None = None, previous: int | None = None, avoid: Collection[int] = ()
) -> int:
    """Choose a port: the requested one, else the previous one if still free, else any free one.

    Args:
        setting: What the user sets to choose the port; named in the error.
        requested: The port the user asked for.
        previous: The port of the last start, so that addresses stay the same from start to start.
        avoid: Ports given to others that do not listen yet.

    Raises:
        PortInUse: If the requested port is taken.
    """
    if requested is not None:
        if requested in avoid or not is_free(requested):
            raise PortInUse(requested, setting)
        return requested
    if previous is not None and previous not in avoid and is_free(previous):
        return previous
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.bind((HOST, 0))
            port = int(probe.getsockname()[1])
        if port not in avoid:
            return port
