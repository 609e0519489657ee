-- Keeps a schedule: in place of the one with its name, its interval beginning now ("replace"), or, after Redis lost
-- its memory, only if there is none ("restore").
--
-- KEYS  see schedules.lua
-- ARGV  name, number, start in ms since 1970 (for "restore"), plan, "replace" or "restore"
-- Returns 1 if there was one of that name, else 0; the start of the one that is kept now

local name, number, start, plan, mode = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local before = redis.call('HGET', KEYS[1], name)
if mode == 'restore' and before then
  return {1, string.match(before, '^%d+ (%d+) ') or '0'}
end
if mode == 'replace' then
  start = whole(now_ms())
  redis.call('HDEL', KEYS[3], name)
end
redis.call('HSET', KEYS[1], name, number .. ' ' .. start .. ' ' .. plan)
changed()
return {before and 1 or 0, start}
