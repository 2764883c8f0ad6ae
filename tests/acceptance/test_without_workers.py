from tests.acceptance.worker_kills import DELIVERIES, KILLS, KillReport


def test_workers_killed_in_the_middle_of_writes_leave_each_effect_exactly_once(worker_kills: KillReport) -> None:
    # That each run succeeded with one comment and one agent run was checked on the stack itself.
    assert len(worker_kills.documents) == DELIVERIES
    assert len(set(worker_kills.killed)) == KILLS
    # The kills struck: work was under way until the last of them, and attempts were lost to them.
    assert worker_kills.unfinished_at_last_kill > 0
    assert worker_kills.lost_attempts > 0
