-- name: read_instruction
select run_ids::text[] from instructions where id = %(id)s

-- name: record_instruction
-- Waits for whoever records the same one at the same time.
insert into instructions (id, kind, subject, run_id, given_by) values (%(id)s, %(kind)s, %(subject)s, %(run_id)s, %(given_by)s)
on conflict (id) do nothing
returning id

-- name: record_outcome
update instructions set run_ids = %(run_ids)s::uuid[] where id = %(id)s

-- name: cancel
-- Ends one run, or the unfinished ones of a subject; whoever holds a live lease is let finish what it is at. Returns
-- what a worker has to do: agents that are to be ended, and runs of the same groups that may begin now.
with ended as (
    update runs
    set status = 'cancelled', reason = 'cancelled by ' || %(given_by)s, finished_at = now()
    where finished_at is null
        and (id = %(run_id)s or (subject = %(subject)s and id is distinct from %(except_run_id)s))
    returning id, group_key, reason
), stopped as (
    update tasks
    set status = 'cancelled', reason = ended.reason, finished_at = now(), lease_until = null, lease_token = null
    from ended
    where tasks.run_id = ended.id and tasks.status in ('queued', 'waiting', 'running')
        and (tasks.lease_until is null or tasks.lease_until < now())
    returning tasks.id
)
select array(select id::text from ended order by id) as run_ids, array(
    select stopped.id::text from stopped
        join effects on effects.task_id = stopped.id and effects.is_agent and effects.ended_at is null
    union
    select tasks.id::text from ended join runs using (group_key)
        join tasks on tasks.run_id = runs.id and tasks.status = 'queued'
    where runs.status = 'queued' and runs.id not in (select id from ended)) as task_ids

-- name: retry
-- Runs once more what has failed, died or been cancelled: of each workflow the newest run, unless a later one did
-- well or is under way. The version is the one it had.
with latest as (
    select distinct on (workflow) * from runs
    where id = %(run_id)s or (subject = %(subject)s and id is distinct from %(except_run_id)s)
    order by workflow, id desc
), again as (
    insert into runs (delivery_key, workflow, version, subject, repository, sha, at, group_key, on_conflict, depth,
        status, retry_of)
    select delivery_key, workflow, version, subject, repository, sha, at, group_key,
        -- Said by a person: the one chance of its group does not count.
        case on_conflict when 'once' then 'queue' else on_conflict end, depth, 'queued', id
    from latest where status in ('failed', 'dead', 'cancelled')
    returning id, version
), enqueued as (
    insert into tasks (run_id, position, step, uses, status)
    select again.id, 0, coalesce(definition -> 'steps' -> 0 ->> 'id', '1'), definition -> 'steps' -> 0 ->> 'uses',
        'queued'
    from again join workflow_versions using (version)
    returning id
)
select array(select id::text from again order by id) as run_ids, array(select id::text from enqueued) as task_ids

-- name: list_awaiting
-- Steps that wait for a maintainer.
select effects.id::text as effect_id, tasks.id::text as task_id, runs.id::text as run_id
from effects
join tasks on tasks.id = effects.task_id and tasks.status = 'waiting'
join runs on runs.id = tasks.run_id and runs.finished_at is null
where effects.kind = 'approval.wait' and (runs.id = %(run_id)s or runs.subject = %(subject)s or effects.id = %(effect_id)s)
    and not exists (select from approvals where approvals.effect_id = effects.id)

-- name: approve
with approved as (
    insert into approvals (effect_id, instruction_id)
    select unnest(%(effect_ids)s::uuid[]), %(id)s
    on conflict (effect_id) do nothing
    returning effect_id
)
update tasks set next_attempt_at = now(), enqueued_at = now()
from effects
where effects.id in (select effect_id from approved) and tasks.id = effects.task_id and tasks.lease_until is null

-- name: read_approval
select instructions.given_by from approvals join instructions on instructions.id = approvals.instruction_id
where approvals.effect_id = %(effect_id)s

-- name: put_switch
insert into switches (name, is_on, reason, changed_by) values (%(name)s, %(is_on)s, %(reason)s, %(changed_by)s)
on conflict (name) do update
set is_on = excluded.is_on, reason = excluded.reason, changed_by = excluded.changed_by, changed_at = now()

-- name: list_switches
select name, is_on, reason, changed_by, changed_at from switches order by name
