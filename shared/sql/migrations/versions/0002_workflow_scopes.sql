-- Workflows that override the ones in `workflows` by name: an organisation's ('*') and a repository's ('owner/repo').
-- A table of its own, because code of the release before reads `workflows` whole.
create table workflow_overrides (
    scope text not null,
    name text not null,
    version text not null references workflow_versions,
    updated_at timestamptz not null default now(),
    primary key (scope, name)
);

-- The workflow file of each repository that was looked at: what GitHub said last, and what is wrong with it.
create table workflow_files (
    repository text primary key,
    etag text,
    -- The file's blob as it was read last, good or faulty; null: there is none.
    sha text,
    fault text,
    checked_at timestamptz not null
);
