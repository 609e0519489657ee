-- Takes the sessions of a dead incarnation from some of the users that have any.
--
-- KEYS  the set of users with sessions of the incarnation
-- ARGV  prefix, incarnation, how many users at most
-- Returns how many users it visited; 0: there are none left
--
-- Some at a time: Redis does nothing else meanwhile. Whoever sweeps may die, or two may sweep at once: what a sweep
-- has visited is done, and no longer in the set. What could not be done goes back into it. The node may be alive after
-- all, under its next incarnation: that one's sessions stay.

local names = redis.call('SPOP', KEYS[1], ARGV[3])
local kept_until = now_ms() + SWEPT_KEPT_MS

local function visit(name)
  local user, found = read(ARGV[1], name), false
  for id, session in pairs(user.sessions) do
    if session.life == ARGV[2] then
      remove(user, id)
      found = true
    end
  end
  if found then
    user.swept = kept_until
    redis.call('HSET', user.key, 'swept', whole(kept_until))
    settle(user)
  end
end

for at, name in ipairs(names) do
  local done, why = pcall(visit, name)
  if not done then
    redis.call('SADD', KEYS[1], unpack(names, at))
    return type(why) == 'table' and why or redis.error_reply(tostring(why))
  end
end
return #names
