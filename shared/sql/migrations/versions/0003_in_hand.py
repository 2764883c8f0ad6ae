"""Runs in order and in hand: subjects, groups, open agents, approvals, switches."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# As 0001 has it.
_RUN_DOCUMENT = """
create or replace function run_document(run runs) returns json language sql stable as $$
    select json_build_object(
        'run_id', run.id, 'workflow', run.workflow, 'version', run.version, 'subject', run.subject,
        'status', run.status, 'reason', run.reason, 'created_at', run.created_at, 'finished_at', run.finished_at,
        'tasks', coalesce((select json_agg(task_document(tasks) order by tasks.position)
            from tasks where tasks.run_id = run.id), '[]'))
$$
"""


def upgrade() -> None:
    """Adds tables and columns, all of them unknown to the release before, which goes on beside them."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))


def downgrade() -> None:
    """Drops them."""
    op.execute(_RUN_DOCUMENT)
    op.execute("drop table switches, approvals, instructions, subjects")
    op.execute("drop index effects_open, effects_of_agents, runs_by_group, runs_unfinished, runs_by_subject")
    op.execute("drop index runs_by_repository, runs_by_workflow, runs_by_status")
    op.execute("update attempts set outcome = 'dead' where outcome in ('failed', 'declined')")
    op.execute(
        "alter table attempts drop constraint attempts_outcome_check, add constraint attempts_outcome_check "
        "check (outcome in ('succeeded', 'retried', 'deferred', 'dead', 'lost')) not valid"
    )
    op.execute("alter table effects drop column is_agent, drop column ended_at")
    op.execute(
        "alter table runs drop column repository, drop column sha, drop column at, drop column group_key, "
        "drop column on_conflict, drop column depth, drop column superseded_by, drop column retry_of"
    )
