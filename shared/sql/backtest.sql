-- name: count_stored
select count(*) as count from deliveries where received_at >= %(since)s and generation = 0

-- name: list_stored
-- Oldest first, a page after the last one's place; the body only where it is asked for, since it is most of a row.
select key, received_at, source, delivery_id::text as delivery_id, event, subject, content_type,
    case when event = any(%(events)s) then body end as body,
    case when event = any(%(events)s) then body_key end as body_key,
    coalesce((select answers from verdicts where delivery_key = deliveries.key), '[]') as answers
from deliveries
where received_at >= %(since)s and generation = 0 and (received_at, key) > (%(at)s, %(key)s)
order by received_at, key
limit %(limit)s

-- name: find_stored
select key, received_at, source, delivery_id::text as delivery_id, event, subject, content_type, body, body_key,
    coalesce((select answers from verdicts where delivery_key = deliveries.key), '[]') as answers
from deliveries
where delivery_id = %(delivery_id)s
order by generation desc
limit 1
