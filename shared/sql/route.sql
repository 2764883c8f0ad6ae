-- name: record_delivery
-- The delivery, its verdicts, its runs and their first tasks in one statement: all or nothing, one round trip.
-- A known delivery is counted; one that had died before is taken up again.
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
), started as (
    insert into runs (delivery_key, workflow, version, subject, status)
    select key, wanted.workflow, wanted.version, %(subject)s, 'queued'
    from recorded, jsonb_to_recordset(%(runs)s) as wanted (workflow text, version text)
    returning id, workflow
), enqueued as (
    insert into tasks (run_id, position, step, uses, status)
    select started.id, wanted.position, wanted.step, wanted.uses, 'queued'
    from started
    join jsonb_to_recordset(%(runs)s) as wanted (workflow text, position smallint, step text, uses text)
        using (workflow)
    returning id
)
select (select key from recorded) as key, (select array_agg(id::text) from enqueued) as task_ids

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
