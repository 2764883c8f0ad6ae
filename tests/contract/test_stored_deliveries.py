"""Stored deliveries: what drafts are tried on, in memory and in Postgres."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from click.testing import CliRunner

from shared.adapters.postgres import backtest as postgres_backtest
from shared.cli.__main__ import main
from shared.domain.delivery import Delivery
from shared.domain.errors import Transient
from shared.domain.run import PlannedRun
from shared.domain.workflow import judge
from shared.usecases.backtest import Difference, backtest
from tests.support.factories import RECEIVED_AT, build_delivery, build_envelope, build_payload, build_workflow
from tests.support.record_stores import RecordStore

RECEIVED = datetime.fromtimestamp(RECEIVED_AT / 1000, UTC)
EARLIER = RECEIVED - timedelta(hours=1)
IN_FORCE = build_workflow(on={"pull_request": {"actions": ["opened", "closed"]}})
DRAFT = build_workflow(on={"pull_request": {"actions": ["opened", "reopened"]}})


def record(store: RecordStore, delivery: Delivery) -> str:
    verdict = judge(IN_FORCE, delivery.envelope.event, delivery.action, delivery.document)
    store.deliveries.record_delivery(delivery, [verdict], [PlannedRun(IN_FORCE)] if verdict.matched else [])
    return delivery.envelope.delivery_id


@pytest.fixture
def ids(store: RecordStore) -> dict[str, str]:
    """Five deliveries by what they are."""
    store.put_workflows(IN_FORCE)
    found = {
        action: record(store, build_delivery(build_payload(action=action)))
        for action in ("opened", "closed", "reopened")
    }
    found["push"] = record(store, build_delivery({"ref": "refs/heads/main"}, event="push"))
    dead = build_envelope(b"no JSON")
    store.deliveries.record_dead_delivery(dead, "unreadable")
    return found | {"dead": dead.delivery_id}


def test_they_come_oldest_first_with_the_bodies_that_are_wanted(
    store: RecordStore, ids: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_backtest, "PAGE", 2)
    assert store.stored.count_since(EARLIER) == 5
    stored = list(store.stored.list_since(EARLIER, {"pull_request"}))
    assert [each.envelope.delivery_id for each in stored] == list(ids.values())
    assert [each.envelope.deflated is not None for each in stored] == [True, True, True, False, True]
    assert [set(each.matched) for each in stored] == [{"greet"}, {"greet"}, set(), set(), set()]
    assert {each.envelope.received_at for each in stored} == {RECEIVED_AT}


def test_what_is_older_is_left_out(store: RecordStore, ids: dict[str, str]) -> None:
    later = RECEIVED + timedelta(seconds=1)
    assert ids
    assert store.stored.count_since(later) == 0
    assert list(store.stored.list_since(later, {"pull_request"})) == []


def test_one_is_found_by_its_id(store: RecordStore, ids: dict[str, str]) -> None:
    stored = store.stored.find(UUID(ids["opened"]))
    assert stored is not None
    assert (stored.envelope.event, stored.matched) == ("pull_request", frozenset({"greet"}))
    assert store.stored.find(uuid4()) is None


def test_a_backtest_sets_would_beside_did(store: RecordStore, ids: dict[str, str]) -> None:
    steps: list[int] = []
    report = backtest([DRAFT, build_workflow(name="new")], store.stored, None, EARLIER, steps.append)
    assert (report.deliveries, report.unreadable, sum(steps)) == (5, 1, 5)
    greet = report.workflows["greet"]
    assert (greet.would_match, greet.did_match, greet.both) == (2, 2, 1)
    because = 'action is "closed", wants one of "opened", "reopened"'
    assert greet.lost == [Difference(ids["closed"], RECEIVED_AT, "pull_request", "closed", "acme/widgets#7", because)]
    assert [each.delivery_id for each in greet.gained] == [ids["reopened"]]
    new = report.workflows["new"]
    assert (new.would_match, new.did_match, len(new.gained), new.lost) == (3, 0, 3, [])


def test_without_a_database_it_is_to_be_tried_again(store: RecordStore) -> None:
    store.switch_off()
    with pytest.raises(Transient):
        store.stored.count_since(EARLIER)
    with pytest.raises(Transient):
        list(store.stored.list_since(EARLIER, ()))
    with pytest.raises(Transient):
        store.stored.find(uuid4())


@pytest.mark.parametrize("store", ["postgres"], indirect=True)
def test_the_command_reads_the_database(store: RecordStore, database_url: str, tmp_path: Path) -> None:
    store.put_workflows(IN_FORCE)
    delivery_id = record(store, build_delivery(build_payload()))
    draft = tmp_path / "draft.yml"
    steps = "steps: [{uses: github.comment, with: {body: Hi}}]"
    draft.write_text(f"version: 1\nworkflows:\n  greet:\n    on: {{pull_request: {{actions: closed}}}}\n    {steps}\n")
    since = f"{(datetime.now(UTC) - RECEIVED).days + 1}d"

    def run(*arguments: str) -> str:
        environ = {"DATABASE_URL": database_url, "BODIES_BUCKET": ""}
        done = CliRunner().invoke(main, ["workflows", *arguments], env=environ)
        assert done.exit_code == 0, done.output
        return done.stdout

    told = run("backtest", str(draft), "--since", since)
    assert "1 delivery since" in told
    assert "greet: would have matched 0, did match 1, both 0\n  would no longer have matched 1:\n" in told
    assert f'{delivery_id} pull_request.opened acme/widgets#7: action is "opened", wants "closed"' in told
    report = json.loads(run("backtest", str(draft), "--since", since, "--json"))
    assert report["workflows"]["greet"]["lost"][0]["delivery_id"] == delivery_id
    verdicts = json.loads(run("simulate", str(draft), "--delivery", delivery_id, "--json"))
    assert verdicts["greet"]["because"] == 'action is "opened", wants "closed"'
    missing = CliRunner().invoke(
        main, ["workflows", "simulate", str(draft), "--delivery", str(uuid4())], env={"DATABASE_URL": database_url}
    )
    assert (missing.exit_code, "there is no stored delivery" in missing.output) == (1, True)
