-- name: workflows_in_force
-- By name, of the defaults, the organisation's and the repository's the last that there is.
with named (name, version, rank) as (
    select name, version, 0 from workflows
    union all
    select name, version, case scope when '*' then 1 else 2 end
    from workflow_overrides where scope in ('*', %(repository)s)
)
select distinct on (name) name, version, definition::text as definition
from named join workflow_versions using (name, version)
order by name, rank desc

-- name: list_own
-- The repositories that have workflows of their own.
select distinct scope from workflow_overrides where scope <> '*'

-- name: list_workflows
with named (name, version, rank, origin, updated_at) as (
    select name, version, 0, origin, updated_at from workflows
    union all
    select name, version, case scope when '*' then 1 else 2 end,
        case scope when '*' then 'organization' else 'repository' end, updated_at
    from workflow_overrides where scope in ('*', %(repository)s)
), in_force as (
    select distinct on (name) name, json_build_object('name', name, 'origin', origin, 'version', version,
        'definition', definition, 'updated_at', updated_at) as document
    from named join workflow_versions using (name, version)
    order by name, rank desc
)
select coalesce((select json_agg(document order by name) from in_force), '[]') as workflows,
    (select json_build_object('sha', sha, 'faults', faults, 'settled_at', settled_at)
        from workflow_files where repository = %(repository)s and settled_at is not null) as file

-- name: list_versions
select json_build_object('version', version, 'definition', definition, 'created_at', created_at, 'in_force_for', (
        select coalesce(json_agg(scope order by scope), '[]') from (
            select origin as scope from workflows where workflows.version = workflow_versions.version
            union all
            select case scope when '*' then 'organization' else scope end from workflow_overrides
            where workflow_overrides.name = workflow_versions.name
                and workflow_overrides.version = workflow_versions.version
        ) as scopes)) as document
from workflow_versions
where name = %(name)s
order by created_at desc, version
limit 100

-- name: add_workflow_version
insert into workflow_versions (version, name, definition)
values (%(version)s, %(name)s, %(definition)s)
on conflict (version) do nothing

-- name: put_workflow_in_force
insert into workflows (name, version, origin) values (%(name)s, %(version)s, %(origin)s)
on conflict (name) do update set version = excluded.version, origin = excluded.origin, updated_at = now()
where workflows.origin = excluded.origin and workflows.version <> excluded.version

-- name: put_overrides
-- A scope's workflows as a whole: what is not among them is in force no longer. Those of a repository only as long
-- as its file is recorded as it was when the check began, so that the slower of two workers does not undo the other.
with allowed as (
    select where %(scope)s = '*'
    union all
    select from workflow_files where repository = %(scope)s and sha is not distinct from %(known_sha)s
), wanted as (
    select name, version, definition
    from allowed, jsonb_to_recordset(%(workflows)s) as given (name text, version text, definition jsonb)
), versioned as (
    insert into workflow_versions (version, name, definition)
    select version, name, definition from wanted
    on conflict (version) do nothing
), removed as (
    delete from workflow_overrides using allowed
    where scope = %(scope)s and name <> all (%(names)s::text[])
), put as (
    insert into workflow_overrides (scope, name, version)
    select %(scope)s, name, version from wanted
    on conflict (scope, name) do update set version = excluded.version, updated_at = now()
    where workflow_overrides.version <> excluded.version
)
select 1 as allowed from allowed

-- name: delete_override
delete from workflow_overrides where scope = %(scope)s and name = %(name)s returning name

-- name: claim_check
-- Of all who would look at a file, one does; what it learns is recorded by settle_check.
insert into workflow_files (repository, next_check_at)
values (%(repository)s, now() + make_interval(secs => %(check_seconds)s))
on conflict (repository) do update set next_check_at = excluded.next_check_at
where workflow_files.next_check_at <= now() or %(at_once)s
returning etag, sha, faults

-- name: settle_check
-- What a check found, and the run that reports it, in one statement: of all who found the same, one reports it.
with settled as (
    update workflow_files
    set etag = %(etag)s, sha = %(sha)s, faults = %(faults)s, settled_at = now(),
        next_check_at = greatest(next_check_at, now() + make_interval(secs => %(next_check_seconds)s))
    where repository = %(repository)s and sha is not distinct from %(known_sha)s
    returning repository
), versioned as (
    insert into workflow_versions (version, name, definition)
    select %(version)s, %(name)s, %(definition)s from settled where %(version)s::text is not null
    on conflict (version) do nothing
), started as (
    insert into runs (delivery_key, workflow, version, subject, repository, status)
    select key, %(name)s, %(version)s, subject, deliveries.repository, 'queued'
    from settled, deliveries
    where %(version)s::text is not null
        and source = %(source)s and delivery_id = %(delivery_id)s and generation = 0
    returning id
)
insert into tasks (run_id, position, step, uses, status)
select id, 0, %(step)s, %(uses)s, 'queued' from started
returning id::text as task_id
