-- Notes what an upstream answered: see shared/adapters/limits.py.
--
-- KEYS  upstream, account, quota (hashes)
-- ARGV  now in ms ('' is the server's own time), failed (0, 1), ms of the halt (0: none), failures that open the circuit,
--       ms that it stays open, then the quota's limit (0: not told), requests left and time of reset in ms
-- Returns 0, '', requests left and limit of the quota (0 and 0: not known), failures in a row
local now = tonumber(ARGV[1])
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function read(key, field)
    return tonumber(redis.call('HGET', key, field) or 0)
end
local DAY, SAME_WINDOW = 86400000, 5000

-- What was under way when the circuit opened says nothing about how the upstream is since.
if read(KEYS[1], 'open_until') <= now then
    if ARGV[2] == '0' then
        redis.call('HDEL', KEYS[1], 'failures', 'open_until', 'probe_until')
    elseif redis.call('HINCRBY', KEYS[1], 'failures', 1) >= tonumber(ARGV[4]) then
        redis.call('HSET', KEYS[1], 'open_until', now + ARGV[5])
        redis.call('HDEL', KEYS[1], 'probe_until')
    end
end

-- The upstream's own is what the monitoring shows: the longest halt of its accounts.
local halted_until = now + ARGV[3]
for i = 1, 2 do
    if tonumber(ARGV[3]) > 0 and halted_until > read(KEYS[i], 'halted_until') then
        redis.call('HSET', KEYS[i], 'halted_until', halted_until)
    end
    redis.call('PEXPIRE', KEYS[i], DAY)
end

local limit, remaining, reset_at = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
if limit > 0 then
    local known_reset_at = read(KEYS[3], 'reset_at')
    if math.abs(reset_at - known_reset_at) < SAME_WINDOW then
        -- Answers overtake each other, and requests under way are not in them yet.
        remaining = math.min(remaining, read(KEYS[3], 'remaining'))
    end
    if reset_at > now and reset_at > known_reset_at - SAME_WINDOW then
        redis.call('HSET', KEYS[3], 'limit', limit, 'remaining', remaining, 'reset_at', reset_at)
        redis.call('PEXPIRE', KEYS[3], DAY)
    end
end
limit, remaining = 0, 0
if read(KEYS[3], 'reset_at') > now then
    limit, remaining = read(KEYS[3], 'limit'), read(KEYS[3], 'remaining')
end
return { 0, '', remaining, limit, read(KEYS[1], 'failures') }
