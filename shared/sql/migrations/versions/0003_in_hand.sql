-- What is known of a subject: its newest state by GitHub's own clock, and which delivery told it.
create table subjects (
    key text primary key,
    repository text,
    sha text,
    state text,
    at timestamptz not null,
    delivery_id uuid not null
);
create index subjects_by_sha on subjects (repository, sha) where sha is not null;

-- The moment of its subject that a run is about, the runs that stand in its way, and how many agents are behind it.
alter table runs
    add column repository text,
    add column sha text,
    add column at timestamptz,
    add column group_key text,
    add column on_conflict text check (on_conflict in ('cancel', 'queue', 'skip', 'once')),
    add column depth smallint not null default 0,
    add column superseded_by uuid,
    add column retry_of uuid;
create index runs_by_group on runs (group_key, id) where group_key is not null and status not in ('superseded', 'cancelled');
create index runs_unfinished on runs (group_key, id) where group_key is not null and finished_at is null;
create index runs_by_subject on runs (subject, id);
create index runs_by_repository on runs (repository, id);
create index runs_by_workflow on runs (workflow, id);
-- What did well is most of it, and found fast without.
create index runs_by_status on runs (status, id) where status <> 'succeeded';

-- An effect that starts an agent is open until the agent's work is over, whatever becomes of its task.
alter table effects
    add column is_agent boolean not null default false,
    add column ended_at timestamptz;
create index effects_open on effects (task_id) where is_agent and ended_at is null;
create index effects_of_agents on effects (planned_at) where is_agent;

-- (Not validated: every row that is there keeps to the narrower check that it replaces, and validating would read
-- them all under a lock.) How an attempt ends that a rule forbade, or that failed with nothing to mend.
alter table attempts
    drop constraint attempts_outcome_check,
    add constraint attempts_outcome_check
        check (outcome in ('succeeded', 'failed', 'declined', 'retried', 'deferred', 'dead', 'lost')) not valid;

-- What people tell the orchestrator, and what came of it: a slash command, a button, a call of the API. The id is
-- the effect's, so that an instruction that is given twice is carried out once.
create table instructions (
    id uuid primary key,
    kind text not null check (kind in ('approve', 'cancel', 'retry')),
    subject text,
    run_id uuid,
    given_by text not null,
    run_ids uuid[] not null default '{}',
    given_at timestamptz not null default now()
);
create index instructions_by_time on instructions (given_at desc, id desc);

-- Steps that wait for a maintainer and have their approval.
create table approvals (
    effect_id uuid primary key references effects on delete cascade,
    instruction_id uuid not null references instructions
);

-- What an operator has switched off, for everybody at once.
create table switches (
    name text primary key,
    is_on boolean not null,
    reason text,
    changed_by text,
    changed_at timestamptz not null default now()
);

create or replace function run_document(run runs) returns json language sql stable as $$
    select json_build_object(
        'run_id', run.id, 'workflow', run.workflow, 'version', run.version, 'subject', run.subject,
        'status', run.status, 'reason', run.reason, 'group', run.group_key, 'superseded_by', run.superseded_by,
        'retry_of', run.retry_of,
        'created_at', run.created_at, 'finished_at', run.finished_at,
        'tasks', coalesce((select json_agg(task_document(tasks) order by tasks.position)
            from tasks where tasks.run_id = run.id), '[]'))
$$;
