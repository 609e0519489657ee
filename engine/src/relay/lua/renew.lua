-- Renews a node's lease, finds the dead, and hands out the work of sweeping them.
--
-- KEYS  leases (incarnation -> <renewed, ms since 1970> <record>), dead incarnations (incarnation -> claimed until, ms
--       since 1970)
-- ARGV  own incarnation, record, dead after ms, claim ms, "renew" or "enroll"
-- Returns now in ms, when it was renewed before (0: there is no such lease), 1 if there was nothing at all,
--         { living incarnations and their records }, { dead incarnations that the caller is to sweep }
--
-- All by Redis's clock, so that nodes need not agree on the time. "renew" does not write a lease that is gone: another
-- node may sweep this incarnation, and what it signs in from now on must be written by its next one ("enroll"). A
-- claim ends by itself: whoever has it may die.

local own, record, dead_after, claim = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local now = now_ms()
local leases, dead = redis.call('HGETALL', KEYS[1]), redis.call('HGETALL', KEYS[2])
local empty = (#leases == 0 and #dead == 0) and 1 or 0

local seen, living = '0', {}
for at = 1, #leases, 2 do
  local life = leases[at]
  local renewed, said = string.match(leases[at + 1], '^(%d+) (.*)$')
  if life == own then
    seen = renewed or '0'
  elseif not renewed or tonumber(renewed) + dead_after < now then
    redis.call('HDEL', KEYS[1], life)
    if redis.call('HSETNX', KEYS[2], life, '0') == 1 then
      dead[#dead + 1] = life
      dead[#dead + 1] = '0'
    end
  else
    -- The clock was set back: without this the lease would outlive its node by as much.
    if tonumber(renewed) > now then redis.call('HSET', KEYS[1], life, whole(now) .. ' ' .. said) end
    living[#living + 1] = life
    living[#living + 1] = said
  end
end
if ARGV[5] == 'enroll' or seen ~= '0' then
  redis.call('HSET', KEYS[1], own, whole(now) .. ' ' .. record)
  living[#living + 1] = own
  living[#living + 1] = record
end

local claimed = {}
for at = 1, #dead, 2 do
  local claimed_until = tonumber(dead[at + 1]) or 0
  -- One that ends later than any claim does was made before the clock was set back.
  if claimed_until <= now or claimed_until > now + claim then
    redis.call('HSET', KEYS[2], dead[at], whole(now + claim))
    claimed[#claimed + 1] = dead[at]
  end
end
return {whole(now), seen, empty, living, claimed}
