"""How the tests share out the machine: by file, and the acceptance tests together, for they share one stack."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups the tests for `--dist loadgroup`: the tests of a group run one after the other in one process."""
    for item in items:
        place = item.path.relative_to(TESTS)
        group = place.parts[0] if place.parts[0] in {"acceptance", "e2e"} else str(place)
        item.add_marker(pytest.mark.xdist_group(group))
