"""The walking path: deliveries, verdicts, runs, tasks, attempts, effects, agent runs, dead letters."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the tables."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))


def downgrade() -> None:
    """Drops them."""
    op.execute("drop function run_document, task_document")
    op.execute(
        "drop table dead_letters, agent_runs, effects, attempts, tasks, runs, verdicts, deliveries, "
        "workflows, workflow_versions"
    )
