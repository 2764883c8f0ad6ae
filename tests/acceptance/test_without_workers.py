from tests.acceptance.worker_kills import DELIVERIES_A_LIFE, KILLS, KillReport


def test_workers_killed_in_the_middle_of_writes_leave_each_effect_exactly_once(worker_kills: KillReport) -> None:
    # That each run succeeded with one comment and one agent run was checked on the stack itself.
    assert len(worker_kills.documents) == KILLS * DELIVERIES_A_LIFE
    assert len(set(worker_kills.killed)) == KILLS
    # The kills struck: each found work under way, and attempts were lost to them.
    assert min(worker_kills.unfinished) > 0
    assert worker_kills.lost_attempts > 0
