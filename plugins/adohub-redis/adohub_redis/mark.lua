-- Puts a mark among what is said on the channel: who hears it counts from there, and so all who do count alike.
--
-- KEYS  mark, word of the intake
-- ARGV  channel of the marks, the newest mark that the hub has heard
--
-- Law: a mark is greater than all before it, whatever the clock does or a failover has lost.

local time = redis.call('TIME')
local word = redis.call('GET', KEYS[2])
local mark = tonumber(time[1]) * 1000000 + tonumber(time[2])
local taken = word and string.match(word, '^%d+') or ''
for _, before in ipairs({redis.call('GET', KEYS[1]) or '', taken, ARGV[2]}) do
  mark = math.max(mark, (tonumber(before) or 0) + 1)
end
local said = string.format('%.0f', mark)
redis.call('SET', KEYS[1], said)
redis.call('PUBLISH', ARGV[1], said)
