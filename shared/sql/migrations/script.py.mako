"""${message}."""

from alembic import op

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds only what running code does not trip over."""


def downgrade() -> None:
    """Takes it back."""
