"""The product's own HTTP client over answers made up by a test."""

from collections.abc import Callable

import httpx

from shared.adapters.budgets import CodegenRules, GitHubRules
from shared.adapters.http import open_client
from shared.adapters.limits import Gate
from shared.adapters.memory.telemetry import MemoryTelemetry
from shared.adapters.own_limits import OwnLimiter
from tests.support.clock import ManualClock


def open_mock(rules: GitHubRules | CodegenRules, answer: Callable[[httpx.Request], httpx.Response]) -> httpx.Client:
    """Returns a client whose requests pass a gate with the rules, and are answered by a function."""
    gate = Gate(rules, OwnLimiter(ManualClock()), MemoryTelemetry())
    return open_client("https://upstream.example", gate, httpx.MockTransport(answer))
