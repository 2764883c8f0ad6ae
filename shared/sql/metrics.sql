-- name: count_statuses
select 'tasks' as kind, status, count(*) as count from tasks group by status
union all
select 'runs', status, count(*) from runs group by status

-- name: read_levels
select
    -- How long a task has been due that nobody has taken; one that is to wait is not late.
    (select coalesce(extract(epoch from now() - min(next_attempt_at)), 0)::float8 from tasks
        where status = 'queued' and next_attempt_at < now()) as oldest_due_task_seconds,
    (select count(*) from agent_runs where finished_at is null) as agent_runs_waiting,
    (select count(*) from agent_runs where created_at > now() - interval '1 day') as agent_runs_last_day,
    (select count(*) from deliveries where status = 'dead') as dead_deliveries_recorded,
    (select count(*) from tasks where status = 'dead') as dead_tasks_recorded,
    (select count(*) from dead_letters) as dead_letters_recorded,
    (select count(*) from pg_stat_activity where backend_type = 'client backend') as database_connections,
    current_setting('max_connections')::integer as database_max_connections,
    pg_database_size(current_database()) as database_bytes

-- name: read_ended_deliveries
-- What is shown as a trace once nothing more will happen to it. `timings` are [name, start, end, error].
select
    deliveries.delivery_id::text, deliveries.source, deliveries.event, deliveries.subject, deliveries.status,
    extract(epoch from deliveries.received_at)::float8 as received_at,
    extract(epoch from deliveries.routed_at)::float8 as routed_at,
    extract(epoch from ended_at)::float8 as ended_at,
    coalesce((select json_agg(timing) from (
        select json_build_array(
            format('%%s/%%s attempt %%s', runs.workflow, tasks.step, attempts.number),
            extract(epoch from attempts.started_at), extract(epoch from attempts.finished_at), attempts.error)
        from runs join tasks on tasks.run_id = runs.id join attempts on attempts.task_id = tasks.id
        where runs.delivery_key = deliveries.key and attempts.finished_at is not null
        union all
        select json_build_array(
            format('%%s/%%s agent run %%s', runs.workflow, tasks.step, agent_runs.agent_run_id),
            extract(epoch from agent_runs.created_at), extract(epoch from agent_runs.finished_at), null)
        from runs join tasks on tasks.run_id = runs.id join agent_runs on agent_runs.task_id = tasks.id
        where runs.delivery_key = deliveries.key and agent_runs.finished_at is not null
    ) as timings (timing)), '[]') as timings
from deliveries, lateral (
    select greatest(deliveries.routed_at, max(finished_at)), bool_and(finished_at is not null)
    from runs where delivery_key = deliveries.key) as ends (ended_at, has_ended)
where has_ended is not false and ended_at > to_timestamp(%(since)s)
order by ended_at
limit 200
