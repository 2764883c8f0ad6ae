"""The templates deployed, with IAM enforced, and driven from outside."""

import contextlib
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import psycopg

from tests.acceptance.local_stack import wait_until
from tests.e2e.deployment import WEBHOOK_SECRET, Deployment
from tests.e2e.load import DELIVERIES_A_PHASE, Load, UpdateReport

STAR = b'{"action":"created","repository":{"full_name":"octo-org/hello"}}'
OVER_A_MESSAGE = 1_500_000


def check_acted_once(deployment: Deployment, *documents: Mapping[str, Any]) -> None:
    """Checks that each pull request has the one comment of its one run. Raises AssertionError."""
    for document in documents:
        assert document["status"] == "succeeded", document
        assert [run["status"] for run in document["runs"]] == ["succeeded"], document
        number = document["subject"].rpartition("#")[2]
        assert deployment.count_comments(number) == 1, document


@contextlib.contextmanager
def database_away(deployment: Deployment) -> Iterator[None]:
    """The database refuses the functions while the block lasts."""
    with psycopg.connect(deployment.address("postgres"), autocommit=True) as connection:
        connection.execute("alter role orchestrator nologin")
        connection.execute("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'orchestrator'")
        try:
            yield
        finally:
            connection.execute("alter role orchestrator login")
    # An environment of the API finds its connection closed, once.
    wait_until(lambda: deployment.client.get("/api/v1/tasks").is_success, "the records can be read again")


def count_messages(sqs: Any, queue: str) -> int:  # noqa: ANN401 - boto3 makes its clients at run time
    name = "ApproximateNumberOfMessages"
    return int(sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=[name])["Attributes"][name])


def redrive(sqs: Any, delivery_id: str, dead_letters: str, queue: str) -> None:  # noqa: ANN401 - as above
    """Moves a dead letter back, as StartMessageMoveTask does, which the emulator has not."""
    [letter] = [
        letter
        for letter in sqs.receive_message(
            QueueUrl=dead_letters, MaxNumberOfMessages=10, VisibilityTimeout=1, AttributeNames=["MessageGroupId"]
        )["Messages"]
        if delivery_id in letter["Body"]
    ]
    sqs.send_message(
        QueueUrl=queue,
        MessageBody=letter["Body"],
        MessageDeduplicationId=uuid.uuid4().hex,
        MessageGroupId=letter["Attributes"]["MessageGroupId"],
    )
    sqs.delete_message(QueueUrl=dead_letters, ReceiptHandle=letter["ReceiptHandle"])


def test_the_code_of_the_release_before_works_on_the_migrated_schema(
    released: Deployment, update: UpdateReport
) -> None:
    assert len(update.by_released_code) >= DELIVERIES_A_PHASE
    check_acted_once(released, *update.by_released_code)


def test_an_update_under_load_refuses_and_loses_nothing(deployment: Deployment, update: UpdateReport) -> None:
    before, after = update.code_hashes
    assert before != after
    assert update.refused == []
    check_acted_once(deployment, *update.documents)


def test_every_part_is_reached(deployment: Deployment) -> None:
    answer = deployment.client.get("/health", params={"deep": 1})

    assert (answer.status_code, answer.json()["checks"]) == (200, {"database": True, "cache": True, "queue": True})


def test_who_does_not_sign_or_has_no_token_is_refused(deployment: Deployment) -> None:
    assert deployment.post("star", STAR, secret="another").status_code == 401
    assert deployment.client.get("/api/v1/deliveries", headers={"authorization": "Bearer x"}).status_code == 401


def test_one_trace_and_one_delivery_id_are_in_the_log_of_every_function(deployment: Deployment) -> None:
    trace_id = f"1-{int(time.time()):08x}-{uuid.uuid4().hex[:24]}"
    delivery_id = deployment.post_traced("pull_request", deployment.open_pull_request()[1], trace_id)

    check_acted_once(deployment, deployment.follow(delivery_id))

    for function, message in (
        ("ingest", "delivery.accepted"),
        ("route", "delivery.routed"),
        ("execute", "run.succeeded"),
    ):
        deployment.await_line(function, message=message, delivery_id=delivery_id, trace_id=trace_id)


def test_a_body_over_a_message_s_limit_goes_by_the_bucket(deployment: Deployment) -> None:
    body = json.loads(deployment.open_pull_request()[1])
    # Hexadecimal digits of chance deflate to half.
    body["padding"] = "".join(uuid.uuid4().hex for _ in range(OVER_A_MESSAGE * 2 // 32))
    delivery_id = deployment.send("pull_request", json.dumps(body).encode())

    check_acted_once(deployment, deployment.follow(delivery_id))

    assert deployment.await_line("ingest", delivery_id=delivery_id)["is_stored_apart"] is True


def test_of_a_batch_only_what_failed_comes_again_and_is_buried_in_the_end(deployment: Deployment) -> None:
    queue = deployment.find_queue("Deliveries")
    with deployment.one_receipt(), contextlib.closing(deployment.connect_aws("sqs")) as sqs:
        with deployment.paused("route"):
            first = deployment.send("pull_request", deployment.open_pull_request()[1])
            unreadable = {"MessageBody": "no envelope", "MessageGroupId": "unreadable"}
            poison = sqs.send_message(QueueUrl=queue, MessageDeduplicationId=uuid.uuid4().hex, **unreadable)[
                "MessageId"
            ]
            second = deployment.send("pull_request", deployment.open_pull_request()[1])
        documents = [deployment.follow(delivery_id) for delivery_id in (first, second)]
        deployment.await_line("bury", message="letter.buried", message_id=poison)

    check_acted_once(deployment, *documents)
    assert [document["duplicate_count"] for document in documents] == [0, 0]
    kept = deployment.await_line("route", message="delivery.kept", message_id=poison)
    routed = deployment.await_line("route", message="delivery.routed", delivery_id=second)
    assert kept["xray_trace_id"] == routed["xray_trace_id"], "they were not of one batch"


def test_rotating_the_webhook_secret_under_load_refuses_neither(deployment: Deployment) -> None:
    before, after = deployment.secret, f"canary-rotated-secret-{uuid.uuid4().hex}"
    in_use = [before]
    sent: list[str] = []

    def post() -> httpx.Response:
        sent.append(in_use[len(sent) % len(in_use)])
        return deployment.post("star", STAR, secret=sent[-1])

    with Load(post) as load:
        load.go_on()
        deployment.write_secret(WEBHOOK_SECRET, after)
        in_use.append(after)
        load.go_on(4 * DELIVERIES_A_PHASE)
    deployment.secret = after

    assert load.refused == []
    assert sent.count(after) >= DELIVERIES_A_PHASE
    assert sent.count(before) >= DELIVERIES_A_PHASE
    assert all(deployment.follow(delivery_id)["status"] == "succeeded" for delivery_id in load.accepted)


def test_without_a_right_nothing_comes_of_it_and_the_schedule_heals_it_once_it_is_back(deployment: Deployment) -> None:
    number, body = deployment.open_pull_request()
    with deployment.without_right("route", "sqs:SendMessage"):
        delivery_id = deployment.send("pull_request", body)
        [task] = deployment.follow(delivery_id, to_end=False)["runs"][0]["tasks"]
        failed = deployment.await_line("route", message="queue.failed", task_ids=[task["task_id"]])
    assert "AccessDenied" in failed["reason"]
    assert task["status"] == "queued"
    assert deployment.count_comments(number) == 0

    # Reconcile leaves a task to its message for 5 minutes: these have passed.
    with psycopg.connect(deployment.address("postgres")) as connection:
        connection.execute(
            "update tasks set enqueued_at = now() - interval '10 minutes' where id = %s", [task["task_id"]]
        )
    check_acted_once(deployment, deployment.follow(delivery_id))

    assert deployment.await_line("reconcile", message="tasks.reenqueued")["count"] == 1


def test_what_outlasted_its_receipts_is_redriven_or_seen_as_dead(deployment: Deployment) -> None:
    dead_letters = deployment.find_queue("DeliveriesDlq")
    with deployment.one_receipt(), contextlib.closing(deployment.connect_aws("sqs")) as sqs:
        with deployment.paused("bury"):
            with database_away(deployment):
                redriven = deployment.send("pull_request", deployment.open_pull_request()[1])
                given_up = deployment.send("star", STAR)
                wait_until(lambda: count_messages(sqs, dead_letters) == 2, "both are dead letters")
            redrive(sqs, redriven, dead_letters, deployment.find_queue("Deliveries"))
            check_acted_once(deployment, deployment.follow(redriven))
            # One that finds its connection closed leaves the letter for 3 minutes.
            deployment.restart("bury")
        wait_until(lambda: deployment.read_delivery(given_up) is not None, "the other one is recorded")

    dead = deployment.follow(given_up)
    assert (dead["status"], dead["runs"]) == ("dead", [])
    assert "not processed after" in dead["reason"]
