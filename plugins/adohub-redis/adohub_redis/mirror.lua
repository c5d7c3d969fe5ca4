-- Publishes the events between two positions, and notes that they have been: all of them once, whoever asks again.
--
-- KEYS  word of the mirror
-- ARGV  channel, position before them, position of the last, for how long that is kept, in milliseconds, texts…
--
-- Returns up to where events have been published: that is not the last of these if others were to be next.

local reached = redis.call('GET', KEYS[1])
if reached and reached ~= ARGV[2] then
  return reached
end
for i = 5, #ARGV do
  redis.call('PUBLISH', ARGV[1], ARGV[i])
end
redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4])
return ARGV[3]
