"""docs/deployment.md: its commands, files, figures and sums are those of the repository."""

import re
from pathlib import Path

import pytest

from infra.stages import DEV_IDLE_DOLLARS, STAGES

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "deployment.md").read_text("utf-8")
ANCHORS = {
    re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-")
    for heading in re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)
}
LINKS = re.findall(r"\]\(([^)]+)\)", GUIDE)


def test_every_make_target_is_one() -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    named = set(re.findall(r"(?<=`)make ([a-z0-9]+)|^\$.*?make ([a-z0-9]+)", GUIDE, re.MULTILINE))
    assert {one or other for one, other in named} <= targets
    assert named


@pytest.mark.parametrize("link", sorted({link for link in LINKS if "://" not in link}))
def test_every_link_leads_somewhere(link: str) -> None:
    path, _, anchor = link.partition("#")
    assert not path or (ROOT / "docs" / path).exists()
    assert path or anchor in ANCHORS


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"(?:tests|docs|infra|\.ci)/[\w./-]*\w", GUIDE))
    assert len(named) > 5
    assert not {name for name in named if not (ROOT / name).exists()}


def test_the_sums_of_an_idle_month_are_right() -> None:
    dev = sum(DEV_IDLE_DOLLARS.values())
    # The last five lines are those of any stage.
    shared = sum(list(DEV_IDLE_DOLLARS.values())[-5:])
    prod = 2 * 0.065 * 730 + 23.00 + 2 * 0.0256 * 730 + 65.70 + 7.30 + 29.20 + shared
    assert f"dev {dev:.2f}" in GUIDE
    assert f"prod {prod:.2f}" in GUIDE
    assert f"| 0 | **{dev:.0f}** | **{prod:.0f}** |" in GUIDE


def test_the_sum_of_a_million_deliveries_is_right() -> None:
    table = GUIDE.partition("*A million deliveries*")[2].partition("A poll of an agent run")[0]
    lines = [float(figure) for figure in re.findall(r"\| ([\d.]+) \|$", table, re.MULTILINE)]
    assert len(lines) == 7
    assert f"**{sum(lines):.2f}**" in table


def test_the_sums_of_each_column_are_right() -> None:
    sums = re.findall(r"((?:\d+\.\d\d \+\s)+\d+\.\d\d) =\s(\d+\.\d\d)", GUIDE)
    assert len(sums) == 4
    for terms, total in sums:
        assert sum(float(term) for term in terms.split("+")) == pytest.approx(float(total), abs=0.001)
    large = 265.07 + 635 + 11.40 + 24.50 + 150.38 + 126.50 + 13.50
    assert f"{large:,.2f}" in GUIDE
    assert f"**{large:,.0f}**" in GUIDE
    rounded = [f"**{float(total):.0f}**" for _, total in sums]
    assert all(figure in GUIDE for figure in rounded)


@pytest.mark.parametrize("name", STAGES)
def test_the_stages_figures_are_theirs(name: str) -> None:
    stage = STAGES[name]
    concurrency = stage.concurrency
    order = (concurrency.ingest, concurrency.route, concurrency.execute, concurrency.api)
    column = {"dev": 1, "prod": 2}[name]
    rows = {cells[0]: cells for cells in (re.split(r" ?\| ?", line.strip("| ")) for line in GUIDE.splitlines())}
    assert rows["concurrency: ingest, route, execute, api"][column] == ", ".join(map(str, order))
    rate = rows["requests a second"][column]
    assert rate == f"{stage.requests_per_second:,}, bursts of {2 * stage.requests_per_second:,}"
    assert f"db.{stage.database_class}" in rows["Postgres 18"][column]
    assert f"{stage.database_gigabytes} GB" in rows["Postgres 18"][column]
    assert f"{name} {concurrency.connections} of {stage.database_connections}" in GUIDE
    assert f"{name} {sum(vars(concurrency).values())}" in GUIDE
