"""Workflows of the organisation and of repositories."""

from pathlib import Path

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Creates the tables and the index."""
    op.execute(Path(__file__).with_suffix(".sql").read_text("utf-8"))


def downgrade() -> None:
    """Drops them."""
    op.execute("drop index workflow_versions_by_name")
    op.execute("drop table workflow_files, workflow_overrides")
