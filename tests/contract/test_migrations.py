"""The schema is what all migrations make of it, forwards, backwards and forwards again."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from alembic.command import downgrade, upgrade
from alembic.config import Config
from psycopg.sql import SQL, Identifier

from shared import bootstrap, sql
from shared.adapters.postgres.database import Database
from shared.adapters.postgres.workflows import PostgresWorkflows
from shared.adapters.workflow_files import read_default_workflows

NAME = "migrations_of_a_test"
# Everything that a migration can make, as text.
LISTING = """
select 'column' as kind, format('%s.%s %s %s %s %s', table_name, column_name, data_type, is_nullable,
        column_default, ordinal_position) as text
    from information_schema.columns where table_schema = 'public'
union all
select 'index', indexdef from pg_indexes where schemaname = 'public'
union all
select 'constraint', format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
    from pg_constraint where connamespace = 'public'::regnamespace
union all
select 'function', pg_get_functiondef(oid) from pg_proc where pronamespace = 'public'::regnamespace
union all
select 'trigger', pg_get_triggerdef(oid) from pg_trigger where not tgisinternal
union all
select 'type', typname from pg_type where typnamespace = 'public'::regnamespace and typtype in ('e', 'd')
union all
select 'view', format('%s %s', viewname, definition) from pg_views where schemaname = 'public'
union all
select 'storage', format('%s.%s %s', attrelid::regclass, attname, attstorage)
    from pg_attribute join pg_class on pg_class.oid = attrelid
    where relnamespace = 'public'::regnamespace and relkind = 'r' and attnum > 0 and not attisdropped
order by kind, text
"""


@pytest.fixture
def url(addresses: dict[str, str]) -> Iterator[str]:
    """A database without anything in it."""
    server = addresses["postgres"]
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(SQL("create database {}").format(Identifier(NAME)))
        yield server.rpartition("/")[0] + f"/{NAME}"
        connection.execute(SQL("drop database {} (force)").format(Identifier(NAME)))


def list_schema(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(LISTING).fetchall()


def build_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(sql.__file__).parent / "migrations"))
    config.attributes["database_url"] = url
    return config


def test_the_schema_is_the_same_after_every_way_there(url: str) -> None:
    config = build_config(url)
    upgrade(config, "head")
    schema = list_schema(url)
    kinds = {kind for kind, _ in schema}
    assert {"column", "index", "constraint", "function"} <= kinds

    downgrade(config, "base")
    assert [text for _, text in list_schema(url) if "alembic_version" not in text] == []

    upgrade(config, "head")
    assert list_schema(url) == schema


def test_each_migration_goes_back_to_the_one_before(url: str) -> None:
    config = build_config(url)
    upgrade(config, "+1")
    while True:
        before = list_schema(url)
        upgrade(config, "head")
        if list_schema(url) == before:
            break
        downgrade(config, "-1")
        upgrade(config, "+1")


def test_migrating_again_changes_nothing(url: str) -> None:
    migrate = bootstrap.migrate({"DATABASE_URL": url})
    names = migrate()
    schema = list_schema(url)
    assert migrate() == names
    assert list_schema(url) == schema
    database = Database(url)
    in_force = list(PostgresWorkflows(database).read())
    database.close()
    assert in_force == sorted(read_default_workflows(), key=lambda workflow: workflow.name)
    assert sorted(names) == [workflow.name for workflow in in_force]
