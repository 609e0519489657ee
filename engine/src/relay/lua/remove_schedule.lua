-- Forgets a schedule.
--
-- KEYS  see schedules.lua
-- ARGV  name
-- Returns 1: it was there, 0: it was not

local was_there = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[3], ARGV[1])
if was_there == 1 then changed() end
return was_there
