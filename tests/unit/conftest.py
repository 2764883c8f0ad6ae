"""Unit tests open no sockets."""

import pytest


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Raises SocketBlockedError where a test, or the code under test, opens one."""
