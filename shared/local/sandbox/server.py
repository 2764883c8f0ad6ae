"""Runs a sandbox server: connections that a fault can cut, and an end that waits for nobody."""

import signal
import socket
import sys

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from shared.local.sandbox.recorder import TRANSPORT

HOST = "127.0.0.1"

# Longer than any client keeps an idle connection: what ends first is then the client's, without a race.
_KEEP_ALIVE_SECONDS = 75


class _CuttableProtocol(HttpToolsProtocol):
    """Tells the application about its connection."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["state"][TRANSPORT] = self.transport


class _PromptServer(uvicorn.Server):
    """Ends at once: a request that a fault holds back is cut rather than waited for."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for connection in list(self.server_state.connections):
            cycle = connection.cycle if isinstance(connection, _CuttableProtocol) else None
            if cycle is not None and not cycle.response_complete:
                connection.transport.abort()
        await super().shutdown(sockets)


def serve(app: ASGIApp, port: int) -> None:
    """Serves an application on 127.0.0.1 until SIGTERM or SIGINT, then ends with exit code 0.

    Raises:
        SystemExit: always; with code 1 where the port is taken.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again once it has shut down; until it runs, this is the handler.
        signal.signal(number, lambda *_: sys.exit(0))
    config = uvicorn.Config(
        app,
        host=HOST,
        port=port,
        loop="asyncio",
        http=_CuttableProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=1,
    )
    _PromptServer(config).run()
