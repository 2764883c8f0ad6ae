"""Batches: what is done, what comes again, and the order of each group."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.batch import MAX_GIVE_BACK_SECONDS, BatchResult, Message, process_in_order, read_messages
from shared.domain.errors import Transient


def build_message(number: int, group: str | None = None, receive_count: int = 1) -> Message:
    return Message(str(number), f"body {number}", f"handle {number}", receive_count, group)


def never_halt(error: Transient) -> None:
    raise AssertionError(error)


def test_an_event_is_read() -> None:
    record: dict[str, Any] = {
        "messageId": "m1",
        "body": "b",
        "receiptHandle": "h",
        "attributes": {"ApproximateReceiveCount": "3", "MessageGroupId": "acme/widgets#7"},
    }
    standard = {**record, "attributes": {"ApproximateReceiveCount": "1"}}
    assert read_messages({"Records": [record, standard]}) == [
        Message("m1", "b", "h", 3, "acme/widgets#7"),
        Message("m1", "b", "h", 1, None),
    ]


def test_what_failed_is_named() -> None:
    result = process_in_order([build_message(n) for n in range(4)], lambda message: message.id != "1", never_halt)
    assert result.response == {"batchItemFailures": [{"itemIdentifier": "1"}]}


def test_nothing_failed() -> None:
    result = process_in_order([build_message(1)], lambda _message: True, never_halt)
    assert result.response == {"batchItemFailures": []}
    assert result.give_back_seconds == 0


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.booleans()), max_size=10))
def test_behind_a_failure_the_group_waits_untouched(plan: list[tuple[str | None, bool]]) -> None:
    messages = [build_message(number, group) for number, (group, _) in enumerate(plan)]
    tried: list[Message] = []

    def process(message: Message) -> bool:
        tried.append(message)
        return plan[int(message.id)][1]

    failed = process_in_order(messages, process, never_halt).failed

    assert failed == [message for message in messages if message in failed]
    for group in ("a", "b", "c"):
        own = [message for message in messages if message.group == group]
        first = next((index for index, each in enumerate(own) if not plan[int(each.id)][1]), len(own))
        assert [each for each in own if each in failed] == own[first:]
        assert [each for each in own if each in tried] == own[: first + 1]
    for message in messages:
        if message.group is None:
            assert message in tried
            assert (message in failed) is not plan[int(message.id)][1]


def test_an_outage_ends_the_batch() -> None:
    tried: list[str] = []
    halts: list[Transient] = []
    outage = Transient("the database is away")

    def process(message: Message) -> bool:
        tried.append(message.id)
        if message.id == "2":
            raise outage
        return message.id != "0"

    messages = [build_message(number, group) for number, group in enumerate(["a", "b", "c", "a", "d"])]
    result = process_in_order(messages, process, halts.append)

    assert tried == ["0", "1", "2"]
    assert halts == [outage]
    assert [message.id for message in result.failed] == ["0", "2", "3", "4"]


def test_the_rest_grows_with_each_receipt() -> None:
    rests = [build_message(1, receive_count=count).give_back_seconds for count in range(1, 12)]
    assert rests == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]
    assert build_message(1, receive_count=10**9).give_back_seconds == MAX_GIVE_BACK_SECONDS
    # 20 receipts of the queue outlast an outage of an hour.
    assert sum(build_message(1, receive_count=count).give_back_seconds for count in range(1, 20)) > 3600


def test_one_rest_for_all_keeps_their_order() -> None:
    failed = [build_message(1, "a", receive_count=5), build_message(2, "a", receive_count=1)]
    assert BatchResult(failed).give_back_seconds == 32
