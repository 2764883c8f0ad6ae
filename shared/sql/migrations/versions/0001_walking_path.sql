-- A workflow's content, immutable, by its hash: a run keeps the version it started with.
create table workflow_versions (
    version text primary key,
    name text not null,
    definition jsonb not null,
    created_at timestamptz not null default now()
);

-- Which version of each workflow is in force.
create table workflows (
    name text primary key,
    version text not null references workflow_versions,
    origin text not null check (origin in ('default', 'organization', 'repository')),
    updated_at timestamptz not null default now()
);

-- What makes two deliveries the same: the source and GitHub's X-GitHub-Delivery, which GitHub keeps across
-- redeliveries and across hooks. A replay is a new generation of the same delivery.
create table deliveries (
    key uuid primary key default uuidv7(),
    source text not null,
    delivery_id uuid not null,
    generation integer not null default 0,
    event text not null,
    action text,
    subject text not null,
    repository text,
    sender text,
    hook_id text,
    trace_id text,
    status text not null check (status in ('succeeded', 'dead')),
    reason text,
    received_at timestamptz not null,
    routed_at timestamptz not null default now(),
    duplicate_count integer not null default 0,
    content_type text not null,
    -- The body byte for byte, deflated; or the key of the object that holds it.
    body bytea,
    body_key text,
    unique (source, delivery_id, generation)
);
-- Deflated already: Postgres need not try to compress it again.
alter table deliveries alter column body set storage external;
create index deliveries_by_time on deliveries (received_at desc, key desc);
create index deliveries_by_subject on deliveries (subject, received_at desc, key desc);
create index deliveries_by_repository on deliveries (repository, received_at desc, key desc);
create index dead_deliveries_by_time on deliveries (received_at desc, key desc) where status = 'dead';

-- All workflows' answers to a delivery in one row: [{workflow, version, matched, because}].
create table verdicts (
    delivery_key uuid primary key references deliveries on delete cascade,
    answers jsonb not null
);

create table runs (
    id uuid primary key default uuidv7(),
    delivery_key uuid not null references deliveries on delete cascade,
    workflow text not null,
    version text not null references workflow_versions,
    subject text not null,
    status text not null check (status in
        ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'superseded', 'dead')),
    reason text,
    created_at timestamptz not null default now(),
    finished_at timestamptz
);
create index runs_by_delivery on runs (delivery_key);

create table tasks (
    id uuid primary key default uuidv7(),
    run_id uuid not null references runs on delete cascade,
    position smallint not null,
    step text not null,
    uses text not null,
    status text not null check (status in
        ('queued', 'running', 'waiting', 'succeeded', 'failed', 'cancelled', 'superseded', 'dead')),
    reason text,
    attempt_count integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    -- When the message that will bring the task to a worker is (or was) to arrive.
    enqueued_at timestamptz default now(),
    -- Who holds the lease may write; a late holder of an old one may not.
    lease_until timestamptz,
    lease_token uuid,
    outputs jsonb,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    unique (run_id, position)
);
create index tasks_due on tasks (next_attempt_at) where status in ('queued', 'waiting');
create index tasks_leased on tasks (lease_until) where lease_until is not null;
create index tasks_by_time on tasks (created_at desc, id desc);

create table attempts (
    task_id uuid not null references tasks on delete cascade,
    number integer not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    outcome text check (outcome in ('succeeded', 'retried', 'deferred', 'dead', 'lost')),
    error text,
    retry_in_seconds double precision,
    primary key (task_id, number)
);

-- A write to the outside, said before ('planned') and after ('done'); its id is the mark it leaves there.
create table effects (
    id uuid primary key,
    task_id uuid not null unique references tasks on delete cascade,
    kind text not null,
    request jsonb not null,
    status text not null check (status in ('planned', 'done')),
    external_id text,
    url text,
    planned_at timestamptz not null default now(),
    done_at timestamptz
);

create table agent_runs (
    effect_id uuid primary key references effects on delete cascade,
    task_id uuid not null references tasks on delete cascade,
    agent text not null,
    agent_run_id text not null,
    status text not null,
    url text,
    result text,
    summary text,
    pull_requests jsonb not null default '[]',
    poll_count integer not null default 0,
    created_at timestamptz not null default now(),
    polled_at timestamptz,
    finished_at timestamptz,
    unique (agent, agent_run_id)
);
create index agent_runs_by_task on agent_runs (task_id);

-- Messages of a dead-letter queue that are neither a delivery nor a task that can be marked dead.
create table dead_letters (
    message_id text primary key,
    queue text not null,
    body text not null,
    reason text not null,
    buried_at timestamptz not null default now()
);

-- How a task and a run are shown, the same wherever they are.
create function task_document(task tasks) returns json language sql stable as $$
    select json_build_object(
        'task_id', task.id, 'position', task.position, 'step', task.step, 'uses', task.uses,
        'status', task.status, 'reason', task.reason, 'attempt_count', task.attempt_count,
        'next_attempt_at', case when task.finished_at is null then task.next_attempt_at end,
        'created_at', task.created_at, 'finished_at', task.finished_at, 'outputs', task.outputs,
        'attempts', coalesce((
            select json_agg(json_build_object('attempt', number, 'started_at', started_at,
                'finished_at', finished_at, 'outcome', outcome, 'error', error,
                'retry_in_seconds', retry_in_seconds) order by number)
            from attempts where task_id = task.id), '[]'),
        'effects', coalesce((
            select json_agg(json_build_object('effect_id', id, 'kind', kind, 'status', status, 'url', url,
                'external_id', external_id, 'planned_at', planned_at, 'done_at', done_at))
            from effects where task_id = task.id), '[]'),
        'agent_runs', coalesce((
            select json_agg(json_build_object('agent', agent, 'agent_run_id', agent_run_id, 'status', status,
                'url', url, 'result', result, 'summary', summary, 'pull_requests', pull_requests,
                'poll_count', poll_count, 'created_at', created_at, 'finished_at', finished_at))
            from agent_runs where task_id = task.id), '[]'))
$$;

create function run_document(run runs) returns json language sql stable as $$
    select json_build_object(
        'run_id', run.id, 'workflow', run.workflow, 'version', run.version, 'subject', run.subject,
        'status', run.status, 'reason', run.reason, 'created_at', run.created_at, 'finished_at', run.finished_at,
        'tasks', coalesce((select json_agg(task_document(tasks) order by tasks.position)
            from tasks where tasks.run_id = run.id), '[]'))
$$;
