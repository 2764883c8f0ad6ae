-- name: claim_task
-- One attempt, under a lease: of all who ask, one gets the task. A poll of a waiting agent is no attempt.
with claimed as (
    update tasks
    set status = case status when 'waiting' then 'waiting' else 'running' end,
        lease_until = now() + make_interval(secs => %(lease_seconds)s),
        lease_token = gen_random_uuid(),
        attempt_count = attempt_count + case status when 'waiting' then 0 else 1 end
    where id = %(task_id)s
        and status in ('queued', 'waiting', 'running')
        and next_attempt_at <= now()
        and (lease_until is null or lease_until < now())
    returning *
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
    deliveries.key::text as delivery_key, deliveries.source, deliveries.delivery_id::text, deliveries.event,
    deliveries.content_type, deliveries.body, deliveries.body_key, deliveries.trace_id,
    effects.id::text as effect_id, effects.kind, effects.request, effects.planned_at,
    agent_runs.agent_run_id, agent_runs.poll_count,
    extract(epoch from now() - agent_runs.created_at)::float8 as agent_age_seconds,
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
insert into effects (id, task_id, kind, request, status)
select %(effect_id)s, id, %(kind)s, %(request)s, 'planned'
from tasks
where id = %(task_id)s and lease_token = %(lease_token)s and lease_until > now()
on conflict (task_id) do nothing
returning id

-- name: settle_task
-- What an attempt came to: the task, the attempt, the effect, the agent run, the next task and the run, in one
-- statement. Nothing happens when the lease has passed to somebody else.
with settled as (
    update tasks
    set status = %(status)s, reason = %(reason)s, outputs = %(outputs)s,
        next_attempt_at = now() + make_interval(secs => %(delay_seconds)s),
        enqueued_at = case when %(is_enqueued)s then now() + make_interval(secs => %(delay_seconds)s) end,
        lease_until = null, lease_token = null,
        attempt_count = attempt_count - case when %(outcome)s::text = 'deferred' then 1 else 0 end,
        finished_at = case when %(is_final)s then now() end
    where id = %(task_id)s and lease_token = %(lease_token)s
    returning id, run_id, attempt_count
), attempted as (
    update attempts set finished_at = now(), outcome = %(outcome)s::text, error = %(reason)s,
        retry_in_seconds = %(retry_in_seconds)s
    from settled
    where attempts.task_id = settled.id and attempts.number = %(attempt)s and %(outcome)s::text <> 'deferred'
), uncounted as (
    delete from attempts using settled
    where attempts.task_id = settled.id and attempts.number = %(attempt)s and %(outcome)s::text = 'deferred'
), written as (
    update effects set status = 'done', external_id = %(external_id)s, url = %(url)s, done_at = now()
    from settled
    where effects.task_id = settled.id and effects.status = 'planned' and %(external_id)s::text is not null
), dropped as (
    delete from effects using settled
    where effects.task_id = settled.id and effects.status = 'planned' and %(is_effect_dropped)s
        and %(external_id)s::text is null
), agent as (
    insert into agent_runs (effect_id, task_id, agent, agent_run_id, status, url, result, summary, pull_requests,
        finished_at)
    select effects.id, settled.id, seen.agent, seen.agent_run_id, seen.status, seen.url, seen.result, seen.summary,
        coalesce(seen.pull_requests, '[]'), case when %(is_final)s then now() end
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
    where wanted.position is not null
    returning id
), run as (
    update runs set status = %(run_status)s, reason = %(run_reason)s,
        finished_at = case when %(is_run_final)s then now() end
    from settled
    where runs.id = settled.run_id
)
select id::text as task_id, (select id::text from next_task) as next_task_id from settled

-- name: due_tasks
-- Tasks that no message will bring to a worker any more: due and not enqueued (or enqueued long ago: the send
-- after the commit was lost), or held by a worker that is gone.
update tasks set enqueued_at = now()
where id in (
    select id from tasks
    where (status in ('queued', 'waiting') and lease_until is null and next_attempt_at <= now()
            and coalesce(enqueued_at, '-infinity') < now() - make_interval(secs => %(stranded_after_seconds)s))
        or (lease_until < now()
            and (coalesce(enqueued_at, '-infinity') < lease_until
                or enqueued_at < now() - make_interval(secs => %(stranded_after_seconds)s)))
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
)
update runs set status = 'dead', reason = %(reason)s, finished_at = now()
from dead where runs.id = dead.run_id and runs.finished_at is null
returning runs.id::text as run_id
