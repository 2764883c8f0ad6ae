-- name: read_delivery
select json_build_object(
    'delivery_id', delivery_id, 'source', source, 'generation', generation, 'event', event, 'action', action,
    'subject', subject, 'repository', repository, 'sender', sender, 'status', status, 'reason', reason,
    'received_at', received_at, 'routed_at', routed_at, 'duplicate_count', duplicate_count, 'trace_id', trace_id,
    'verdicts', coalesce((select answers from verdicts where delivery_key = deliveries.key), '[]'),
    'runs', coalesce((select json_agg(run_document(runs) order by runs.id) from runs
        where runs.delivery_key = deliveries.key), '[]')) as document
from deliveries
where source = %(source)s and delivery_id = %(delivery_id)s
order by generation desc
limit 1

-- name: read_run
select json_build_object('delivery_id', deliveries.delivery_id, 'source', deliveries.source) as context,
    run_document(runs) as document
from runs join deliveries on deliveries.key = runs.delivery_key
where runs.id = %(run_id)s

-- name: list_deliveries
select key, json_build_object(
    'delivery_id', delivery_id, 'source', source, 'event', event, 'action', action, 'subject', subject,
    'repository', repository, 'sender', sender, 'status', status, 'reason', reason, 'received_at', received_at,
    'duplicate_count', duplicate_count) as document, received_at as at
from deliveries
where {conditions}
order by received_at desc, key desc
limit %(limit)s

-- name: list_runs
-- By the id, which is by time; so one index of two columns serves a filter, the order and the cursor.
select runs.id as key, runs.created_at as at, json_build_object(
    'run_id', runs.id, 'workflow', runs.workflow, 'version', runs.version, 'subject', runs.subject,
    'repository', deliveries.repository, 'status', runs.status, 'reason', runs.reason, 'group', runs.group_key,
    'superseded_by', runs.superseded_by, 'retry_of', runs.retry_of, 'created_at', runs.created_at,
    'finished_at', runs.finished_at, 'delivery_id', deliveries.delivery_id, 'source', deliveries.source) as document
from (select * from runs where {conditions} order by id desc limit %(limit)s) as runs
join deliveries on deliveries.key = runs.delivery_key
order by runs.id desc

-- name: list_instructions
select id as key, given_at as at, json_build_object(
    'instruction_id', id, 'kind', kind, 'subject', subject, 'run_id', run_id, 'given_by', given_by,
    'given_at', given_at, 'run_ids', run_ids) as document
from instructions
where {conditions}
order by given_at desc, id desc
limit %(limit)s

-- name: list_tasks
select tasks.id as key, tasks.created_at as at, task_document(tasks) as document,
    json_build_object('run_id', tasks.run_id, 'workflow', runs.workflow, 'subject', runs.subject,
        'delivery_id', deliveries.delivery_id) as context
from tasks
join runs on runs.id = tasks.run_id
join deliveries on deliveries.key = runs.delivery_key
where {conditions}
order by tasks.created_at desc, tasks.id desc
limit %(limit)s

-- name: ping
select 1 as up
