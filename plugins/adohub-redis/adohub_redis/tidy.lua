-- Lets go of what is too old or too much, some of it at a time, and of no event that a hub has yet to be given.
--
-- KEYS  meta, newest, order, state, ending, arrivals, hubs
-- ARGV  prefix of the streams' keys, skew, max_events, max_age_s, how many at a time

local SLACK = 256

local time = redis.call('TIME')
local moment = tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[2])
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'head')
local epoch, head = meta[1], tonumber(meta[2])
if not epoch then
  return 0
end
local stream = ARGV[1] .. epoch
local max_events, step = tonumber(ARGV[3]), tonumber(ARGV[5])

-- Up to where every hub that lives has been given all. What a hub says is of the beat before its last.
local given = head
local hubs = redis.call('HGETALL', KEYS[7])
for i = 2, #hubs, 2 do
  local living, of, offset = string.match(hubs[i], '^(%S+) (%w+)%-(%x+)$')
  if living and tonumber(living) > moment and of == epoch then
    given = math.min(given, tonumber(offset, 16))
  end
end

redis.call('XTRIM', stream, 'MAXLEN', '~', string.format('%.0f', math.max(max_events, head - given)))

local old = string.format('%.6f', moment - tonumber(ARGV[4]))
local tail = redis.call('ZREVRANGEBYSCORE', KEYS[6], old, '-inf', 'LIMIT', 0, 1)[1]
if tail then
  redis.call('XTRIM', stream, 'MINID', string.format('%.0f', math.min(tonumber(tail), given) + 1) .. '-0')
  redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', '(' .. redis.call('ZSCORE', KEYS[6], tail))
end

local function let_go(places)
  if #places > 0 then
    redis.call('HDEL', KEYS[2], unpack(places))
    redis.call('ZREM', KEYS[3], unpack(places))
    redis.call('ZREM', KEYS[4], unpack(places))
    redis.call('ZREM', KEYS[5], unpack(places))
  end
  return #places
end

local gone = let_go(redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', string.format('%.6f', moment), 'LIMIT', 0, step))
local surplus = redis.call('ZCARD', KEYS[3]) - 2 * max_events
if surplus > SLACK then
  gone = gone + let_go(redis.call('ZRANGE', KEYS[3], 0, math.min(surplus, step) - 1))
end
return gone
