-- What the Celery version keeps: the same facts, in as many tables as they need.
create table deliveries (
    id bigint generated always as identity primary key,
    delivery_id uuid not null unique,
    event text not null,
    action text,
    subject text not null,
    repository text,
    sender text,
    received_at timestamptz not null,
    recorded_at timestamptz not null default now(),
    body jsonb not null
);
create index on deliveries (received_at);
create index on deliveries (subject, received_at);

create table runs (
    id bigint generated always as identity primary key,
    delivery bigint not null references deliveries on delete cascade,
    workflow text not null,
    status text not null default 'queued',
    created_at timestamptz not null default now()
);
create index on runs (delivery);

create table tasks (
    id bigint generated always as identity primary key,
    run bigint not null references runs on delete cascade,
    step text not null,
    status text not null default 'queued',
    next_attempt_at timestamptz not null default now()
);
create index on tasks (next_attempt_at) where status = 'queued';
