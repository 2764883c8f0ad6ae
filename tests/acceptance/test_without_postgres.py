from tests.acceptance.postgres_outages import OutageReport


def test_deliveries_are_accepted_while_postgres_hangs_or_is_gone_and_all_reach_their_end(
    postgres_outages: OutageReport,
) -> None:
    # That none was refused, and that each run succeeded exactly once, was checked on the stack itself.
    assert postgres_outages.sent_while_hung > 0
    assert postgres_outages.sent_while_stopped > 0
    assert len(postgres_outages.documents) > postgres_outages.sent_while_hung + postgres_outages.sent_while_stopped


def test_the_api_says_that_postgres_is_away(postgres_outages: OutageReport) -> None:
    shallow, deep = postgres_outages.health
    assert shallow == (200, {"status": "ok"})
    assert deep == (503, {"status": "degraded", "checks": {"database": False, "cache": True, "queue": True}})
    status, body = postgres_outages.reading
    assert (status, list(body)) == (503, ["detail"])
