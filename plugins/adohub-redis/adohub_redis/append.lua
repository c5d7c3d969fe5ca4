-- Keeps drafts: all of them or none, in order, each judged by what those before it have done.
--
-- KEYS  meta, the stream of the epoch, newest, order, state, ending, live, arrivals, sent:HUB
-- ARGV  epoch, number of this append, skew, max_events, max_age_s, idempotency_window_s, ended_s, sent_s,
--       prefix of repeat keys, how the author begins of what is taken in from the channel,
--       number of state topics, (topic, most keys)…,
--       then nine for each draft: topic, place, body, timestamp, author and idempotency key or "",
--       topics that it ends separated by spaces, if_revision or "", notes, key or ""
--
-- Returns {"anew"} if the epoch is over or the server is another one: nothing has been done then. Otherwise
-- {"kept", moment, {verdict…}}: the offset of a new event; or "again OFFSET TIMESTAMP" of a repetition, or
-- "revision OFFSET", or "full OFFSET". An append that is sent again is answered as it was the first time. One
-- that comes when a later one is done has been on a broken line, and has been sent again or given up: it is
-- refused.

-- How many events more than twice max_events there may be: that is for tidy.lua to see to, which knows what
-- each hub has been given. A hub that has fallen behind so far has missed some.
local SPARE = 131072

-- How many places are written in one call.
local WRITTEN = 500

local meta = redis.call('HMGET', KEYS[1], 'epoch', 'replid', 'head', 'base', 'lineage')
local replid = string.match(redis.call('INFO', 'replication'), 'master_replid:(%x+)')
if meta[1] ~= ARGV[1] or meta[2] ~= replid or redis.call('EXISTS', KEYS[2]) == 0 then
  return {'anew'}
end

-- What was kept before the first epoch of the lineage is lost, and nothing of it is remembered.
local root = string.match(meta[5], '^%x+') or meta[1]

local number = tonumber(ARGV[2])
local sent = redis.call('GET', KEYS[9])
if sent then
  local last, of, answer = string.match(sent, '^(%d+) (%x+) (.*)$')
  last = tonumber(last)
  if number < last then
    return redis.error_reply('LATE a later append of this hub is done')
  elseif number == last and of == root then
    redis.call('EXPIRE', KEYS[9], ARGV[8]) -- a write, for WAIT on this connection to wait for
    return cmsgpack.unpack(answer)
  end
end

local time = redis.call('TIME')
local moment = tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[3])
local now = string.format('%.6f', moment)
local max_age, window, ended_s = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local goes = string.format('%.6f', moment + ended_s)
local repeats, heard = ARGV[9] .. root .. ':', ARGV[10]
local most = {}
local at = 12
for _ = 1, tonumber(ARGV[11]) do
  most[ARGV[at]] = tonumber(ARGV[at + 1])
  at = at + 2
end

local before = tonumber(meta[3])
local head = before
local following = math.max(before, tonumber(meta[4]))
local may_have_ended = redis.call('ZCARD', KEYS[6]) > 0

local function decimal(offset)
  return string.format('%.0f', offset)
end

-- What this append has made the newest of each place is written once, at the end.
local offsets, values, places = {}, {}, {[KEYS[4]] = {}, [KEYS[5]] = {}}

local function order_of(topic)
  return most[topic] and KEYS[5] or KEYS[4]
end

local function newest_of(topic, place)
  return offsets[place] or redis.call('ZSCORE', order_of(topic), place)
end

local function write_newest()
  for order, some in pairs(places) do
    for first = 1, #some, WRITTEN do
      local kept, ordered = {}, {}
      for n = first, math.min(#some, first + WRITTEN - 1) do
        kept[#kept + 1], kept[#kept + 2] = some[n], values[some[n]]
        ordered[#ordered + 1], ordered[#ordered + 2] = offsets[some[n]], some[n]
      end
      redis.call('HSET', KEYS[3], unpack(kept))
      redis.call('ZADD', order, unpack(ordered))
    end
  end
end

local function has_ended(place)
  return may_have_ended and redis.call('ZSCORE', KEYS[6], place)
end

local function end_place(topic, place)
  if newest_of(topic, place) and not has_ended(place) then
    redis.call('ZADD', KEYS[6], goes, place)
    may_have_ended = true
    if most[topic] then
      redis.call('HINCRBY', KEYS[7], topic, -1)
    end
  end
end

local verdicts = {}
for i = at, #ARGV, 9 do
  local topic, place, body, timestamp = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local author, ends, if_revision, notes = ARGV[i + 4], ARGV[i + 5], ARGV[i + 6], ARGV[i + 7]
  local verdict
  if author ~= '' then
    local first = redis.call('GET', repeats .. author)
    if first then
      local offset, stamp, seen = string.match(first, '^(%d+) (.*) (%S+)$')
      if tonumber(seen) >= moment - window then
        verdict = 'again ' .. offset .. ' ' .. stamp
      end
    end
  end
  local is_state = most[topic] ~= nil
  local revision = 0
  if not verdict and (is_state or if_revision ~= '') then
    local newest = newest_of(topic, place)
    if newest and not has_ended(place) then
      revision = tonumber(newest)
    end
    local wanted = tonumber(if_revision)
    if wanted and ((wanted == -1 and revision == 0) or (wanted ~= -1 and revision ~= wanted)) then
      verdict = 'revision ' .. decimal(revision)
    elseif is_state and revision == 0
        and tonumber(redis.call('HGET', KEYS[7], topic) or 0) >= most[topic] then
      verdict = 'full ' .. decimal(revision)
    end
  end
  if not verdict then
    following = following + 1
    head = following
    local offset = decimal(head)
    local entry = {'topic', topic, 'timestamp', timestamp, 'arrived', now, 'body', body}
    local n = 8
    if place ~= topic then
      entry[n + 1], entry[n + 2] = 'key', ARGV[i + 8]
      n = n + 2
    end
    if notes ~= '' then
      entry[n + 1], entry[n + 2] = 'notes', notes
      n = n + 2
    end
    if ends ~= '' then
      entry[n + 1], entry[n + 2] = 'ends', ends
      n = n + 2
    end
    if string.sub(author, 1, #heard) == heard then
      entry[n + 1], entry[n + 2] = 'heard', ''
    end
    redis.call('XADD', KEYS[2], offset .. '-0', unpack(entry))
    if not offsets[place] then
      local of_order = places[order_of(topic)]
      of_order[#of_order + 1] = place
    end
    offsets[place] = offset
    values[place] = offset .. '\n' .. timestamp .. '\n' .. notes .. '\n' .. body
    if may_have_ended then
      redis.call('ZREM', KEYS[6], place)
    end
    if is_state and revision == 0 then
      redis.call('HINCRBY', KEYS[7], topic, 1)
    end
    if ends ~= '' then
      for ended in string.gmatch(ends, '%S+') do
        end_place(ended, ended .. string.sub(place, #topic + 1))
      end
    end
    if author ~= '' then
      redis.call('SET', repeats .. author, offset .. ' ' .. timestamp .. ' ' .. now,
        'PX', math.max(1, math.floor(window * 1000)))
    end
    verdict = head
  end
  verdicts[#verdicts + 1] = verdict
end

if head > before then
  write_newest()
  redis.call('HSET', KEYS[1], 'head', decimal(head))
  redis.call('XTRIM', KEYS[2], 'MAXLEN', '~', string.format('%.0f', 2 * tonumber(ARGV[4]) + SPARE))
  local last = redis.call('ZREVRANGE', KEYS[8], 0, 0, 'WITHSCORES')
  if not last[2] or moment - tonumber(last[2]) >= max_age / 1000 then
    redis.call('ZADD', KEYS[8], now, decimal(before))
  end
end
local answer = {'kept', now, verdicts}
redis.call('SET', KEYS[9], ARGV[2] .. ' ' .. root .. ' ' .. cmsgpack.pack(answer), 'EX', ARGV[8])
return answer
