-- Gives a tick of a schedule to the first that asks for it.
--
-- KEYS  schedules (see schedules.lua), last ticks (name -> <number> <tick> <fired>)
-- ARGV  name, number of the schedule as the caller knows it, tick
-- Returns 1: it is the caller's, 0: it is not; how many ticks were given before
--
-- Every node asks for every tick, so that none depends on another's being alive. A number that is not the schedule's
-- says that the caller has an older one in mind, and a tick that is not later than the last one that somebody has it
-- already.

local name, number, tick = ARGV[1], ARGV[2], ARGV[3]
local stored = redis.call('HGET', KEYS[1], name)
if not stored or string.match(stored, '^(%d+) ') ~= number then return {0, 0} end

local last, fired = -1, 0
local given = redis.call('HGET', KEYS[2], name)
if given then
  local of, last_tick, times = string.match(given, '^(%d+) (%d+) (%d+)$')
  if of == number then last, fired = tonumber(last_tick), tonumber(times) end
end
if tonumber(tick) <= last then return {0, fired} end
redis.call('HSET', KEYS[2], name, number .. ' ' .. tick .. ' ' .. string.format('%.0f', fired + 1))
return {1, fired}
