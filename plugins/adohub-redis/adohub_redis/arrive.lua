-- A hub says that it is there and what it knows, and learns what the server holds.
--
-- KEYS  meta, hubs, newest, order, state, ending, live, arrivals
-- ARGV  prefix of the streams' keys, skew, the epoch that the hub knows or "", the offset of the newest event
--       that it knows, four random digits, hub, for how many seconds it will be taken to live,
--       what it has delivered
--
-- Returns {epoch, head, lineage, holes, moment, {hub, until and delivered, …}}.
--
-- Law: no id ever means two payloads, and nobody is led over a hole without a word. So offsets never go back:
-- whenever the server is not the one that wrote last (it was restarted, or another took its place), they go on
-- far beyond what may have been given, and what lies between is a hole in the epoch. A new epoch begins when
-- something may be lost: the keys are gone, a replica was promoted, the server keeps no log of its writes,
-- a hub knows events or an epoch that the server does not.

local JUMP = 1048576
local MOST_HOLES = 64
local FORGOTTEN_S = 3600

local known_epoch, known = ARGV[3], tonumber(ARGV[4])
local time = redis.call('TIME')
local moment = tonumber(time[1]) + tonumber(time[2]) / 1000000 + tonumber(ARGV[2])
local replication = redis.call('INFO', 'replication')
local replid = string.match(replication, 'master_replid:(%x+)')
local run_id = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)')
local meta = redis.call('HMGET', KEYS[1], 'epoch', 'replid', 'head', 'base', 'lineage', 'holes', 'run_id')
local epoch, head, base = meta[1], tonumber(meta[3] or 0), tonumber(meta[4] or 0)
local lineage, holes = meta[5] or '', meta[6] or ''

-- A later epoch is greater as text than all that are known of.
local function later_epoch()
  local seconds = tonumber(time[1])
  for _, one in ipairs({epoch or '', known_epoch}) do
    local began = tonumber(string.sub(one, 1, 8), 16)
    if began and began >= seconds then
      seconds = began + 1
    end
  end
  return string.format('%08x', seconds) .. ARGV[5]
end

local function stream(of)
  return ARGV[1] .. of
end

local function make_stream(key)
  redis.call('XADD', key, '0-1', 'topic', '')
  redis.call('XDEL', key, '0-1')
end

local function decimal(offset)
  return string.format('%.0f', offset)
end

-- The holes that lie in or after what is left of the stream: who comes from before it meets a gap anyway.
local function still_of_use(some)
  local first = redis.call('XRANGE', stream(epoch), '-', '+', 'COUNT', 1)[1]
  local oldest = first and tonumber(string.match(first[1], '^%d+')) or 0
  return (string.gsub(some, '%d+:(%d+) ', function(last)
    return tonumber(last) < oldest and '' or nil
  end))
end

-- What follows goes on after `base`, also in a new epoch.
local function begin_epoch()
  local later = later_epoch()
  if epoch and redis.call('EXISTS', stream(epoch)) == 1 then
    redis.call('RENAME', stream(epoch), stream(later))
    lineage = lineage .. epoch .. ' '
  else
    redis.call('DEL', unpack(KEYS, 3))
    make_stream(stream(later))
    lineage = ''
  end
  epoch, holes = later, base > head and decimal(head) .. ':' .. decimal(base) .. ' ' or ''
end

if not epoch then
  head, base = 0, 0
  begin_epoch()
  redis.call('HSET', KEYS[1], 'epoch', epoch, 'replid', replid, 'run_id', run_id, 'head', '0', 'base', '0',
    'lineage', '', 'holes', '')
else
  local jumps = redis.call('EXISTS', stream(epoch)) == 0
  local lost = jumps
  local was_promoted = string.find(replication, 'master_replid2:0000000000') == nil
  local is_other = meta[2] ~= replid
  if is_other and meta[7] == run_id and not was_promoted then
    -- The same server has given its past another name, as it does when its first replica comes.
    redis.call('HSET', KEYS[1], 'replid', replid)
  elseif is_other then
    local keeps_log = string.find(redis.call('INFO', 'persistence'), 'aof_enabled:1') ~= nil
    lost = lost or was_promoted or not keeps_log
    jumps = true
  end
  if known_epoch > epoch or (known_epoch == epoch and known > head) then
    jumps = true
    lost = true
  elseif known_epoch == epoch then
    for first, last in string.gmatch(holes, '(%d+):(%d+)') do
      lost = lost or (tonumber(first) < known and known <= tonumber(last))
    end
  end
  if jumps then
    local after = math.max(head, base, known_epoch >= epoch and known or 0) + JUMP
    holes = still_of_use(holes) .. decimal(head) .. ':' .. decimal(after) .. ' '
    base = after
    local _, number = string.gsub(holes, ' ', '')
    lost = lost or number > MOST_HOLES
  end
  if lost then
    begin_epoch()
  end
  if jumps or lost then
    redis.call('HSET', KEYS[1], 'epoch', epoch, 'replid', replid, 'run_id', run_id, 'base', decimal(base),
      'lineage', lineage, 'holes', holes)
  end
end

redis.call('HSET', KEYS[2], ARGV[6], string.format('%.3f', moment + tonumber(ARGV[7])) .. ' ' .. ARGV[8])
local hubs = redis.call('HGETALL', KEYS[2])
for i = 1, #hubs, 2 do
  if tonumber(string.match(hubs[i + 1], '^(%S+)')) < moment - FORGOTTEN_S then
    redis.call('HDEL', KEYS[2], hubs[i])
  end
end
return {epoch, decimal(head), lineage, holes, string.format('%.6f', moment), hubs}
