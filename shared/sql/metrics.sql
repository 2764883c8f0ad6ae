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
