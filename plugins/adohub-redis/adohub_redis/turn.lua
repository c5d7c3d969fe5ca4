-- Gives one hub at a time the turn to do something, and keeps word of how far it is.
--
-- KEYS  turn, word
-- ARGV  hub, for how long in milliseconds (0: it does it no more), how far it is or "", for how long that is
--       kept, in milliseconds
--
-- Returns {1 if it is the turn of this hub, or else 0, the word}.

local holder = redis.call('GET', KEYS[1])
local has_it = holder == ARGV[1]
if has_it and ARGV[3] ~= '' then
  redis.call('SET', KEYS[2], ARGV[3], 'PX', ARGV[4])
end
if ARGV[2] == '0' then
  if has_it then
    redis.call('DEL', KEYS[1])
  end
  has_it = false
elseif has_it or not holder then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  has_it = true
end
return {has_it and 1 or 0, redis.call('GET', KEYS[2]) or ''}
