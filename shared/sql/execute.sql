-- name: claim_task
-- One attempt, under a lease: of all who ask, one gets the task. A poll of a waiting agent is no attempt, nor is what
-- is left to do when the run is over. A run begins when no earlier one of its group is unfinished.
with claimed as (
    update tasks
    set status = case when tasks.status = 'queued' and runs.finished_at is null then 'running' else tasks.status end,
        lease_until = now() + make_interval(secs => %(lease_seconds)s),
        lease_token = gen_random_uuid(),
        attempt_count = attempt_count
            + case when tasks.status in ('queued', 'running') and runs.finished_at is null then 1 else 0 end
    from runs
    where tasks.id = %(task_id)s and runs.id = tasks.run_id
        and tasks.next_attempt_at <= now()
        and (tasks.lease_until is null or tasks.lease_until < now())
        and (tasks.status in ('queued', 'waiting', 'running')
            or (tasks.status in ('superseded', 'cancelled') and exists (
                select from effects where effects.task_id = tasks.id and is_agent and ended_at is null)))
        and (runs.group_key is null or runs.status <> 'queued' or not exists (
            select from runs as earlier
            where earlier.group_key = runs.group_key and earlier.id < runs.id and earlier.finished_at is null))
    returning tasks.*
), lost as (
    -- An attempt that never reported its end: its worker died, or its lease ran out.
    update attempts set finished_at = now(), outcome = 'lost', error = 'the worker did not report back'
    from claimed
    where attempts.task_id = claimed.id and attempts.outcome is null and claimed.status = 'running'
), begun as (
    insert into attempts (task_id, number)
    select id, attempt_count from claimed where status = 'running'
    on conflict (task_id, number) do nothing
), started as (
    update runs set status = 'running' from claimed where runs.id = claimed.run_id and runs.status = 'queued'
)
select claimed.id::text as task_id, claimed.run_id::text, claimed.position, claimed.step, claimed.uses, claimed.status,
    claimed.attempt_count, claimed.lease_token::text,
    runs.workflow, runs.version, runs.subject, workflow_versions.definition,
    runs.finished_at is not null as is_over,
    deliveries.key::text as delivery_key, deliveries.source, deliveries.delivery_id::text, deliveries.event,
    deliveries.content_type, deliveries.body, deliveries.body_key, deliveries.trace_id,
    effects.id::text as effect_id, effects.kind, effects.request, effects.planned_at,
    agent_runs.agent_run_id, agent_runs.poll_count,
    extract(epoch from now() - coalesce(agent_runs.created_at, effects.planned_at))::float8 as agent_age_seconds,
    case when runs.on_conflict = 'once' and claimed.position = 0 then (
        select earlier.id::text from runs as earlier
        where earlier.group_key = runs.group_key and earlier.id < runs.id
            and earlier.status not in ('superseded', 'cancelled')
        order by earlier.id limit 1) end as once_spent_by,
    (select coalesce(jsonb_agg(jsonb_build_object('position', position, 'step', step, 'status', status,
            'reason', reason, 'outputs', outputs) order by position), '[]')
        from tasks as earlier where earlier.run_id = claimed.run_id and earlier.position < claimed.position)
        as earlier
from claimed
join runs on runs.id = claimed.run_id
join workflow_versions on workflow_versions.version = runs.version
join deliveries on deliveries.key = runs.delivery_key
left join effects on effects.task_id = claimed.id
left join agent_runs on agent_runs.effect_id = effects.id

-- name: plan_effect
-- Said before it is done. Only the holder of a live lease may speak.
insert into effects (id, task_id, kind, request, status, is_agent)
select %(effect_id)s, tasks.id, %(kind)s, %(request)s, 'planned', %(is_agent)s
from tasks
where id = %(task_id)s and lease_token = %(lease_token)s and lease_until > now()
    and exists (select from runs where runs.id = tasks.run_id and runs.finished_at is null)
on conflict (task_id) do nothing
returning id

-- name: lock_agents
-- Until the transaction ends: of all who want to start an agent, one looks and writes at a time.
select pg_advisory_xact_lock(hashtextextended('agents', 0))

-- name: weigh_agent
-- What may stand against starting an agent for this task now.
select
    switches.reason as off_reason, switches.changed_by as off_by, switches.name is not null as is_off,
    (select newer.delivery_id::text from subjects as newer
        where newer.key = runs.subject and newer.at > runs.at and newer.sha <> runs.sha) as moved_on_by,
    (select other.run_id::text from runs as beside
        join tasks as other on other.run_id = beside.id
        join effects on effects.task_id = other.id and effects.is_agent and effects.ended_at is null
        where beside.group_key = runs.group_key and beside.id <> runs.id limit 1) as busy_run_id,
    counts.*
from runs
left join switches on switches.name = 'agents' and not switches.is_on
cross join lateral (
    select count(*) as all_count,
        count(*) filter (where counted.repository = runs.repository) as repository_count,
        count(*) filter (where counted.subject = runs.subject) as subject_count,
        count(*) filter (where counted.workflow = runs.workflow) as own_count,
        count(*) filter (where counted.workflow = runs.workflow and counted.repository = runs.repository)
            as own_repository_count,
        count(*) filter (where counted.workflow = runs.workflow and counted.subject = runs.subject)
            as own_subject_count
    from effects join tasks on tasks.id = effects.task_id join runs as counted on counted.id = tasks.run_id
    where effects.is_agent and effects.planned_at > now() - interval '24 hours'
) as counts
where runs.id = %(run_id)s

-- name: settle_task
-- What an attempt came to: the task, the attempt, the effect, the agent run, the next task and the run, in one
-- statement. Nothing happens when the lease has passed to somebody else. A run that was ended meanwhile stays so: what
-- was written is recorded, what was to follow is not begun, and an agent that works on is left to be ended.
with held as (
    select tasks.id, tasks.run_id, runs.finished_at is not null as is_over,
        runs.status as run_status, runs.reason as run_reason, runs.group_key
    from tasks join runs on runs.id = tasks.run_id
    where tasks.id = %(task_id)s and tasks.lease_token = %(lease_token)s
    for no key update of tasks, runs
), settled as (
    update tasks
    set status = case when held.is_over and not %(is_final)s then held.run_status else %(status)s end,
        reason = case when held.is_over and not %(is_final)s then held.run_reason else %(reason)s end,
        outputs = %(outputs)s,
        next_attempt_at = now() + make_interval(secs => %(delay_seconds)s),
        enqueued_at = case when %(is_enqueued)s then now() + make_interval(secs => %(delay_seconds)s) end,
        lease_until = null, lease_token = null,
        attempt_count = attempt_count - case when %(outcome)s::text = 'deferred' then 1 else 0 end,
        finished_at = case when %(is_final)s or held.is_over then coalesce(tasks.finished_at, now()) end
    from held
    where tasks.id = held.id
    returning tasks.id, tasks.run_id, tasks.attempt_count, held.is_over, held.group_key
), attempted as (
    update attempts set finished_at = now(), outcome = %(outcome)s::text, error = %(reason)s,
        retry_in_seconds = %(retry_in_seconds)s
    from settled
    where attempts.task_id = settled.id and attempts.number = %(attempt)s and %(outcome)s::text <> 'deferred'
), uncounted as (
    delete from attempts using settled
    where attempts.task_id = settled.id and attempts.number = %(attempt)s and %(outcome)s::text = 'deferred'
), written as (
    update effects
    set status = case when %(external_id)s::text is not null then 'done' else effects.status end,
        external_id = coalesce(%(external_id)s, effects.external_id), url = coalesce(%(url)s, effects.url),
        done_at = case when %(external_id)s::text is not null then now() else effects.done_at end,
        ended_at = case when %(is_agent_over)s then now() else effects.ended_at end
    from settled
    where effects.task_id = settled.id and not %(is_effect_dropped)s
        and (%(is_agent_over)s or (effects.status = 'planned' and %(external_id)s::text is not null))
), dropped as (
    delete from effects using settled
    where effects.task_id = settled.id and effects.status = 'planned' and %(is_effect_dropped)s
), agent as (
    insert into agent_runs (effect_id, task_id, agent, agent_run_id, status, url, result, summary, pull_requests,
        finished_at)
    select effects.id, settled.id, seen.agent, seen.agent_run_id, seen.status, seen.url, seen.result, seen.summary,
        coalesce(seen.pull_requests, '[]'), case when %(is_agent_over)s then now() end
    from settled
    join effects on effects.task_id = settled.id
    cross join jsonb_to_record(%(agent_run)s) as seen
        (agent text, agent_run_id text, status text, url text, result text, summary text, pull_requests jsonb)
    where seen.agent_run_id is not null
    on conflict (effect_id) do update
    set status = excluded.status, url = coalesce(excluded.url, agent_runs.url), result = excluded.result,
        summary = excluded.summary, pull_requests = excluded.pull_requests,
        poll_count = agent_runs.poll_count + 1, polled_at = now(), finished_at = excluded.finished_at
), next_task as (
    insert into tasks (run_id, position, step, uses, status)
    select settled.run_id, wanted.position, wanted.step, wanted.uses, 'queued'
    from settled cross join jsonb_to_record(%(next_step)s) as wanted (position smallint, step text, uses text)
    where wanted.position is not null and not settled.is_over
    returning id
), run as (
    -- The first step that did not do well says why, whatever the steps for failures come to.
    update runs set status = %(run_status)s, reason = coalesce(runs.reason, %(run_reason)s),
        finished_at = case when %(is_run_final)s then now() end
    from settled
    where runs.id = settled.run_id and not settled.is_over
), awaited as (
    -- The run of the group that may begin now.
    select tasks.id
    from settled join runs on runs.group_key = settled.group_key and runs.status = 'queued' and runs.finished_at is null
    join tasks on tasks.run_id = runs.id and tasks.status = 'queued'
    where %(is_run_final)s
    order by runs.id limit 1
)
select settled.id::text as task_id, (select id::text from next_task) as next_task_id,
    (select id::text from awaited) as awaited_task_id
from settled

-- name: due_tasks
-- Tasks that no message will bring to a worker any more: due and not enqueued (or enqueued long ago: the send
-- after the commit was lost), held by a worker that is gone, or over while the agent that they started works on.
with stranded as (
    select id, enqueued_at from tasks
    where (status in ('queued', 'waiting') and lease_until is null and next_attempt_at <= now()
            and coalesce(enqueued_at, '-infinity') < now() - make_interval(secs => %(stranded_after_seconds)s))
        or (lease_until < now()
            and (coalesce(enqueued_at, '-infinity') < lease_until
                or enqueued_at < now() - make_interval(secs => %(stranded_after_seconds)s)))
    union
    select tasks.id, tasks.enqueued_at from effects join tasks on tasks.id = effects.task_id
    where effects.is_agent and effects.ended_at is null and tasks.status in ('superseded', 'cancelled')
        and tasks.lease_until is null and tasks.next_attempt_at <= now()
        and coalesce(tasks.enqueued_at, '-infinity') < now() - make_interval(secs => %(stranded_after_seconds)s)
)
update tasks set enqueued_at = now()
where id in (
    -- As it was seen: one that somebody else has taken meanwhile is enqueued at another time.
    select id from tasks
    where (id, coalesce(enqueued_at, '-infinity')) in (select id, coalesce(enqueued_at, '-infinity') from stranded)
    order by next_attempt_at
    limit %(limit)s
    for update skip locked
)
returning id::text as task_id

-- name: bury_task
-- A task whose messages were spent is dead, and so is its run; a finished one is left as it is.
with dead as (
    update tasks
    set status = 'dead', reason = %(reason)s, finished_at = now(), lease_until = null, lease_token = null
    where id = %(task_id)s and status in ('queued', 'waiting', 'running')
    returning id, run_id
), attempted as (
    update attempts set finished_at = now(), outcome = 'dead', error = %(reason)s
    from dead where attempts.task_id = dead.id and attempts.outcome is null
), closed as (
    update effects set ended_at = now() from dead where effects.task_id = dead.id and effects.ended_at is null
)
update runs set status = 'dead', reason = %(reason)s, finished_at = now()
from dead where runs.id = dead.run_id and runs.finished_at is null
returning runs.id::text as run_id
