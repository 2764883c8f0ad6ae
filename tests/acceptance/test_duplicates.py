import time
import uuid
from concurrent.futures import ThreadPoolExecutor

from shared.adapters.sqs import group_id
from shared.domain.envelope import Envelope, deflate
from shared.domain.payload import TYPE_JSON
from shared.local.queues import DELIVERIES
from tests.acceptance.local_stack import LocalStack, check_once, wait_until

COPIES = 20


def test_copies_at_once_are_all_accepted_and_become_one_delivery(stack: LocalStack) -> None:
    delivery_id = str(uuid.uuid4())
    number, body = stack.open_pull_request()

    with ThreadPoolExecutor(COPIES) as pool:
        answers = list(pool.map(lambda _: stack.post("pull_request", body, delivery_id), range(COPIES)))

    assert [answer.status_code for answer in answers] == [202] * COPIES
    assert {answer.json()["delivery_id"] for answer in answers} == {delivery_id}
    document = stack.follow(delivery_id)
    assert document["subject"].endswith(f"#{number}")
    listed = stack.get("/api/v1/deliveries", subject=document["subject"])["items"]
    assert [delivery["delivery_id"] for delivery in listed] == [delivery_id]
    check_once(stack, [document])


def test_a_redelivery_that_the_queue_lets_through_is_counted_and_starts_nothing(stack: LocalStack) -> None:
    _, body = stack.open_pull_request()
    delivery_id = stack.send("pull_request", body)
    document = stack.follow(delivery_id)
    runs = [run["run_id"] for run in document["runs"]]

    # SQS itself remembers an id for 5 minutes; under another one it takes the delivery again.
    envelope = Envelope(
        "github",
        delivery_id,
        "pull_request",
        document["subject"],
        TYPE_JSON,
        int(time.time() * 1000),
        None,
        deflate(body),
    )
    sqs = stack.connect_aws("sqs")
    for _ in range(3):
        sqs.send_message(
            QueueUrl=sqs.get_queue_url(QueueName=DELIVERIES)["QueueUrl"],
            MessageBody=envelope.encode(),
            MessageGroupId=group_id(envelope.subject),
            MessageDeduplicationId=str(uuid.uuid4()),
        )
    sqs.close()

    wait_until(lambda: stack.follow(delivery_id)["duplicate_count"] == 3, "three duplicates are counted")
    again = stack.follow(delivery_id)
    assert [run["run_id"] for run in again["runs"]] == runs
    check_once(stack, [again])
