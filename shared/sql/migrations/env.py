"""Alembic's environment: migrations run over the address in ``DATABASE_URL``.

https://alembic.sqlalchemy.org/en/latest/tutorial.html
"""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from shared.config import MigrateConfig, read_config

# The migrate function gives the address, the command line has it in its environment.
_given = context.config.attributes.get("database_url") or read_config(MigrateConfig).database_url
# SQLAlchemy serves Alembic alone; it is told which driver to use by the scheme.
_url = _given.replace("postgresql://", "postgresql+psycopg://", 1)

with create_engine(_url, poolclass=NullPool).connect() as connection:
    # A migration that cannot get its lock soon gives up instead of holding up everybody behind it.
    connection.exec_driver_sql("set lock_timeout = '5s'")
    # Two migrations at once (two deploys, two laptops' starts): the second waits for the first.
    connection.exec_driver_sql("select pg_advisory_lock(hashtext('webhook-orchestrator migrations'))")
    connection.commit()
    context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
