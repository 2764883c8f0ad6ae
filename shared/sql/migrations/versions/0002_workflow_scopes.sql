-- Workflows that override the ones in `workflows` by name: an organisation's ('*') and a repository's ('owner/repo').
-- A table of its own, because code of the release before reads `workflows` whole.
create table workflow_overrides (
    scope text not null,
    name text not null,
    version text not null references workflow_versions,
    updated_at timestamptz not null default now(),
    primary key (scope, name)
);

-- The workflow file of each repository that was looked at, as it was settled last.
create table workflow_files (
    repository text primary key,
    etag text,
    -- The file's blob, good or faulty; null: there is none.
    sha text,
    -- What is wrong with it, [{line, message}]; while there is anything, the version before stays in force.
    faults jsonb not null default '[]',
    settled_at timestamptz,
    -- Not to be looked at before, unless a push touches it. Whoever moves this on is the one who looks.
    next_check_at timestamptz not null
);

create index workflow_versions_by_name on workflow_versions (name, created_at desc);
