-- Lets one request through, or says how long it must wait: see shared/adapters/limits.py.
--
-- KEYS  upstream, account, quota (hashes), then the log of each budget (lists of times, oldest first)
-- ARGV  now in ms ('' is the server's own time), ms that a probe may last, ms to wait for it, ms of the line, its pace,
--       then name, amount, ms and cost of each budget; the first orders the line
-- Returns wait in ms (0: let through), why, requests left and limit of the quota (0 and 0: not known), failures in a row
local now = tonumber(ARGV[1])
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function read(key, field)
    return tonumber(redis.call('HGET', key, field) or 0)
end

local ready, why = now, ''
local function hold(until_ms, reason)
    if until_ms > ready then
        ready, why = until_ms, reason
    end
end

local open_until = read(KEYS[1], 'open_until')
local is_open = open_until > 0
if is_open then
    hold(open_until, 'circuit')
    if read(KEYS[1], 'probe_until') > now then
        hold(now + ARGV[3], 'probe')
    end
end
hold(read(KEYS[2], 'halted_until'), 'halt')
local limit, remaining = 0, 0
if read(KEYS[3], 'reset_at') > now then
    limit, remaining = read(KEYS[3], 'limit'), read(KEYS[3], 'remaining')
    if remaining < 1 then
        hold(read(KEYS[3], 'reset_at'), 'quota')
    end
end

local budgets, spacing = {}, 0
for i = 6, #ARGV, 4 do
    local budget = { key = KEYS[4 + #budgets], amount = tonumber(ARGV[i + 1]), ms = tonumber(ARGV[i + 2]),
        cost = tonumber(ARGV[i + 3]) }
    local oldest = tonumber(redis.call('LINDEX', budget.key, budget.cost - budget.amount - 1) or 0)
    local is_spent = oldest > 0 and oldest + budget.ms > now
    if is_spent then
        hold(oldest + budget.ms, ARGV[i])
    end
    if is_spent or i == 6 then
        spacing = math.max(spacing, budget.ms * budget.cost / budget.amount)
    end
    budgets[#budgets + 1] = budget
end

if ready > now then
    local slot = math.max(ready, read(KEYS[2], 'line:' .. ARGV[6]) + math.floor(spacing * ARGV[5]))
    if slot > ready + ARGV[4] then
        slot = ready
    end
    redis.call('HSET', KEYS[2], 'line:' .. ARGV[6], slot)
    redis.call('PEXPIRE', KEYS[2], 86400000)
    return { slot - now, why, remaining, limit, read(KEYS[1], 'failures') }
end

for _, budget in ipairs(budgets) do
    for _ = 1, budget.cost do
        redis.call('RPUSH', budget.key, now)
    end
    redis.call('LTRIM', budget.key, -budget.amount, -1)
    redis.call('PEXPIRE', budget.key, math.ceil(budget.ms))
end
if limit > 0 then
    remaining = redis.call('HINCRBY', KEYS[3], 'remaining', -1)
end
if is_open then
    redis.call('HSET', KEYS[1], 'probe_until', now + ARGV[2])
end
return { 0, '', remaining, limit, read(KEYS[1], 'failures') }
