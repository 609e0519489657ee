-- Adds sessions of one node to a user's ("add"), or makes the node's exactly these ("set"), and removes the user's
-- oldest over the limit, wherever they are.
--
-- KEYS  the user's hash, the user's muted types
-- ARGV  prefix, user, "add" or "set", incarnation, its boot, limit (0: none), PUBLISH or SPUBLISH, envelope that
--       closes, how many muted types, each of them, how many sessions, of each: session, order (0: to be given),
--       since, remote
-- Returns { given sessions that are in now, and their orders }, { sessions of this node that are not }, { heads },
--         { muted types }, when, in ms since 1970
--
-- One script, because two nodes that sign in the same user at the same instant must agree which of the two is newer,
-- and because the older must go even if the node that signed in the newer dies in the next instant. Sessions are
-- ordered by this script's own clock and never twice alike; given orders can be, then the name decides, on every node
-- alike.

local prefix, name, mode, life, boot = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local limit, verb, close = tonumber(ARGV[6]), ARGV[7], ARGV[8]
local user = read(prefix, name)
local at = 9

-- Redis lost its memory: what the node remembers counts, unless another was quicker or the user changed it since.
local mutes = tonumber(ARGV[at])
if mutes > 0 and redis.call('EXISTS', KEYS[2]) == 0 then
  for muted = at + 1, at + mutes do redis.call('SADD', KEYS[2], ARGV[muted]) end
end
at = at + mutes + 1

local given = {}
for _ = 1, tonumber(ARGV[at]) do
  local session = {id = ARGV[at + 1], life = life, boot = boot, order = tonumber(ARGV[at + 2])}
  given[#given + 1] = {session = session, since = ARGV[at + 3], remote = ARGV[at + 4]}
  given[session.id] = true
  at = at + 4
end

if mode == 'set' then
  for id, session in pairs(user.sessions) do
    if session.boot == boot and not given[id] then remove(user, id) end
  end
end

local highest = 0
for _, session in pairs(user.sessions) do highest = math.max(highest, session.order) end
for _, entry in ipairs(given) do
  local session, known = entry.session, user.sessions[entry.session.id]
  if session.order == 0 then
    session.order = known and known.order or math.max(now_ms(), highest + 1)
  end
  highest = math.max(highest, session.order)
  add(user, session, entry.since, entry.remote)
end

local closed = {}
if limit > 0 then
  local sessions, elsewhere = {}, {}
  for _, session in pairs(user.sessions) do sessions[#sessions + 1] = session end
  table.sort(sessions, function(one, other)
    if one.order ~= other.order then return one.order < other.order end
    return one.id < other.id
  end)
  for oldest = 1, #sessions - limit do
    local session = sessions[oldest]
    remove(user, session.id)
    if session.boot == boot then
      closed[#closed + 1] = session.id
    else
      elsewhere[#elsewhere + 1] = session
    end
  end
  tell(user, elsewhere, verb, close)
end
settle(user)

local orders = {}
for _, entry in ipairs(given) do
  local session = user.sessions[entry.session.id]
  if session then
    orders[#orders + 1] = session.id
    orders[#orders + 1] = whole(session.order)
  end
end
return {orders, closed, user.heads, redis.call('SMEMBERS', KEYS[2]), whole(now_ms())}
