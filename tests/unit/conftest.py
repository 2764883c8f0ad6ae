"""Unit tests open no sockets, and take their time where the machine is busy."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("unit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def _no_sockets(socket_disabled: None) -> None:
    """Raises SocketBlockedError where a test, or the code under test, opens one."""
