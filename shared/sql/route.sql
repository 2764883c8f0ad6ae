-- name: record_delivery
-- The delivery, its verdicts, its runs and their first tasks in one statement: all or nothing, one round trip.
-- A known delivery is counted; one that had died before is taken up again. What a new run means for the earlier ones
-- of its group, and they for it, is decided here too; claim_task settles what two deliveries at once cannot see.
with recorded as (
    insert into deliveries (source, delivery_id, event, action, subject, repository, sender, hook_id, trace_id, status,
        received_at, content_type, body, body_key)
    values (%(source)s, %(delivery_id)s, %(event)s, %(action)s, %(subject)s, %(repository)s, %(sender)s,
        %(hook_id)s, %(trace_id)s, 'succeeded', %(received_at)s, %(content_type)s, %(body)s, %(body_key)s)
    on conflict (source, delivery_id, generation) do update
    set duplicate_count = deliveries.duplicate_count + 1,
        status = 'succeeded', reason = null, routed_at = now(),
        event = excluded.event, action = excluded.action, subject = excluded.subject,
        repository = excluded.repository, sender = excluded.sender, content_type = excluded.content_type,
        body = excluded.body, body_key = excluded.body_key
    where deliveries.status = 'dead'
    returning key
), explained as (
    insert into verdicts (delivery_key, answers)
    select key, %(verdicts)s from recorded
), told as (
    insert into subjects (key, repository, sha, state, at, delivery_id)
    select %(subject)s, %(repository)s, %(sha)s, %(state)s, %(at)s, %(delivery_id)s from recorded where %(is_telling)s
    on conflict (key) do update
    set sha = excluded.sha, state = excluded.state, at = excluded.at, delivery_id = excluded.delivery_id
    where subjects.at <= excluded.at
), newer as (
    -- What was known before, when it is newer and another state than this delivery tells of.
    select delivery_id, at from subjects
    where key = %(subject)s and at > %(at)s and (sha <> %(sha)s or state <> %(state)s)
), wanted as (
    select uuidv7() as id, workflow, version, position, step, uses, group_key, on_conflict, max_depth,
        make_interval(secs => debounce_seconds) as debounce,
        case when %(is_ours)s then 1 + coalesce((
            select max(earlier.depth) from runs as earlier
            join tasks on tasks.run_id = earlier.id join effects on effects.task_id = tasks.id and effects.is_agent
            where earlier.subject = %(subject)s), 0) else 0 end as depth
    from recorded, jsonb_to_recordset(%(runs)s) as planned (workflow text, version text, position smallint, step text,
        uses text, group_key text, on_conflict text, debounce_seconds float8, max_depth smallint)
), judged as (
    select wanted.*,
        case when newer.at is not null then 'superseded'
            when wanted.depth >= wanted.max_depth or in_the_way.id is not null then 'cancelled'
            else 'queued' end as status,
        case when newer.at is not null
                then format('the subject has moved on: delivery %%s told of %%s', newer.delivery_id, newer.at)
            when wanted.depth >= wanted.max_depth
                then format('guard.max_depth is %%s, and as many agent runs stand behind this one', wanted.max_depth)
            when in_the_way.id is not null
                then format('concurrency.on_conflict is %%s, and run %%s of the group %%s', wanted.on_conflict,
                    in_the_way.id, case wanted.on_conflict when 'skip' then 'is under way' else 'has begun' end)
            end as reason
    from wanted left join newer on true left join lateral (
        select id from runs where wanted.on_conflict = 'skip' and group_key = wanted.group_key and finished_at is null
        union all
        select id from runs where wanted.on_conflict = 'once' and group_key = wanted.group_key
            and status not in ('queued', 'superseded', 'cancelled')
        limit 1) as in_the_way on true
), started as (
    insert into runs (id, delivery_key, workflow, version, subject, repository, sha, at, group_key, on_conflict, depth,
        status, reason, finished_at)
    select judged.id, recorded.key, workflow, version, %(subject)s, %(repository)s, %(sha)s, %(at)s, group_key,
        on_conflict, depth, status, reason, case when status <> 'queued' then now() end
    from judged, recorded
), enqueued as (
    insert into tasks (run_id, position, step, uses, status, next_attempt_at, enqueued_at)
    select id, position, step, uses, 'queued', now() + debounce, now() + debounce from judged where status = 'queued'
    returning id, extract(epoch from next_attempt_at - now())::integer as delay_seconds
), replaced as (
    update runs
    set status = 'superseded', finished_at = now(), superseded_by = judged.id,
        reason = format('run %%s of delivery %%s takes its place', judged.id, %(delivery_id)s::text)
    from judged
    where judged.status = 'queued' and runs.group_key = judged.group_key and runs.finished_at is null
        and (judged.on_conflict = 'cancel' or (judged.on_conflict in ('queue', 'once') and runs.status = 'queued'))
    returning runs.id, runs.reason
), stopped as (
    -- Who holds a live lease is let finish what it is at; settle_task knows that the run is over.
    update tasks
    set status = 'superseded', reason = replaced.reason, finished_at = now(), lease_until = null, lease_token = null
    from replaced
    where tasks.run_id = replaced.id and tasks.status in ('queued', 'waiting', 'running')
        and (tasks.lease_until is null or tasks.lease_until < now())
    returning tasks.id
), hastened as (
    -- An agent's bot did something: the agents that work in the repository may be done.
    update tasks set next_attempt_at = now(), enqueued_at = now()
    from effects, runs
    where %(is_ours)s and effects.is_agent and effects.ended_at is null and tasks.id = effects.task_id
        and tasks.status = 'waiting' and tasks.lease_until is null
        and runs.id = tasks.run_id and runs.repository = %(repository)s and runs.finished_at is null
        and runs.id not in (select id from replaced)
    returning tasks.id
), sent as (
    select id, delay_seconds from enqueued
    union all select id, 0 from hastened
    union all select stopped.id, 0 from stopped
        join effects on effects.task_id = stopped.id and effects.is_agent and effects.ended_at is null
)
select (select key from recorded) as key,
    (select jsonb_agg(jsonb_build_array(id, delay_seconds) order by id) from sent) as tasks

-- name: find_pull_request
-- The newest pull request whose head a commit is.
select key from subjects where repository = %(repository)s and sha = %(sha)s and key like '%%#%%'
order by at desc limit 1

-- name: count_duplicate
update deliveries set duplicate_count = duplicate_count + 1
where source = %(source)s and delivery_id = %(delivery_id)s and generation = 0

-- name: record_dead_delivery
insert into deliveries (source, delivery_id, event, subject, hook_id, trace_id, status, reason, received_at,
    content_type, body, body_key)
values (%(source)s, %(delivery_id)s, %(event)s, %(subject)s, %(hook_id)s, %(trace_id)s, 'dead', %(reason)s, %(received_at)s,
    %(content_type)s, %(body)s, %(body_key)s)
on conflict (source, delivery_id, generation) do nothing
returning key

-- name: record_dead_letter
insert into dead_letters (message_id, queue, body, reason)
values (%(message_id)s, %(queue)s, %(body)s, %(reason)s)
on conflict (message_id) do nothing
