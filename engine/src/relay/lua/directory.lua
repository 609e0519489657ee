-- What the scripts about a user's sessions share.
--
-- A user's hash <prefix>u:<name>:
--   s:<session> -> <incarnation> <order> <since> <remote>    a session; its incarnation is <boot>.<count>
--   h:<boot>    -> see heads.lua
--   swept       -> ms since 1970 up to which the hash is kept although no session is left: a node that was only cut
--                  off still has sessions of the user, and will ask what was sent meanwhile
-- The set <prefix>o:<incarnation> has the users with sessions of that incarnation, <prefix>n the number of users with
-- sessions.
--
-- Only these functions write any of it, so that hash, sets and number always agree. All names of a partition begin
-- with <prefix>, and with it in one slot: names made here from <prefix> lie where the declared keys lie.

local SESSION = '^(%x+)%-(%x+)%-(%x+)%-(%x+)$' -- boot, shard, index, generation
local SWEPT_KEPT_MS = 900000 -- as long as a sender remembers its numbers

-- The user as it is; `lives` and `count` stay as they were, for settle().
local function read(prefix, name)
  local user = {prefix = prefix, name = name, key = prefix .. 'u:' .. name}
  user.sessions, user.heads, user.lives, user.count, user.swept = {}, {}, {}, 0, 0
  local flat = redis.call('HGETALL', user.key)
  for at = 1, #flat, 2 do
    local field, value = flat[at], flat[at + 1]
    local kind, id = string.sub(field, 1, 2), string.sub(field, 3)
    if kind == 's:' then
      local life, boot, order = string.match(value, '^((%x+)%.%d+) (%d+) ')
      if life and string.match(id, SESSION) then
        user.sessions[id] = {id = id, life = life, boot = boot, order = tonumber(order)}
        user.lives[life] = true
        user.count = user.count + 1
      end
    elseif kind == 'h:' then
      user.heads[#user.heads + 1] = field
      user.heads[#user.heads + 1] = value
    elseif field == 'swept' then
      user.swept = tonumber(value) or 0
    end
  end
  return user
end

local function add(user, session, since, remote)
  user.sessions[session.id] = session
  local value = session.life .. ' ' .. whole(session.order) .. ' ' .. since .. ' ' .. remote
  redis.call('HSET', user.key, 's:' .. session.id, value)
end

local function remove(user, id)
  user.sessions[id] = nil
  redis.call('HDEL', user.key, 's:' .. id)
end

-- After adding and removing: brings the sets, the number and the hash's end in line.
local function settle(user)
  local lives, count = {}, 0
  for _, session in pairs(user.sessions) do
    lives[session.life] = true
    count = count + 1
  end
  for life in pairs(user.lives) do
    if not lives[life] then redis.call('SREM', user.prefix .. 'o:' .. life, user.name) end
  end
  for life in pairs(lives) do
    if not user.lives[life] then redis.call('SADD', user.prefix .. 'o:' .. life, user.name) end
  end
  if count > 0 and user.count == 0 then
    redis.call('INCR', user.prefix .. 'n')
    redis.call('PERSIST', user.key)
  elseif count == 0 and user.count > 0 then
    redis.call('DECR', user.prefix .. 'n')
    if user.swept > now_ms() then
      redis.call('PEXPIREAT', user.key, whole(user.swept))
    else
      redis.call('DEL', user.key)
    end
  end
end

-- An envelope whose list was empty, with these items: their count, its last four bytes, is put right.
--
-- The layout is epush_core::relay::Envelope's. It is made here because only here is known which sessions, or types, it
-- names.
local function fill(envelope, items)
  return string.sub(envelope, 1, -5) .. struct.pack('>I4', #items) .. table.concat(items)
end

-- An envelope with this time, in ms since 1970, as the one it was sent at: bytes 11 to 18 of its head.
local function stamp(envelope, ms)
  return string.sub(envelope, 1, 10) .. struct.pack('>I8', ms) .. string.sub(envelope, 19)
end

-- A number in hexadecimal as so many bytes.
local function bytes(digits, width)
  local padded = string.rep('0', width * 2 - #digits) .. digits
  return (string.gsub(padded, '%x%x', function(pair) return string.char(tonumber(pair, 16)) end))
end

-- A session's name as in an envelope.
local function packed(id)
  local boot, shard, index, generation = string.match(id, SESSION)
  return bytes(boot, 8) .. bytes(shard, 2) .. bytes(index, 4) .. bytes(generation, 4)
end

-- Publishes `envelope` with these sessions to the nodes that have them. Returns how many sessions were heard of.
local function tell(user, sessions, verb, envelope)
  local of, heard = {}, 0
  for _, session in ipairs(sessions) do
    of[session.boot] = of[session.boot] or {}
    table.insert(of[session.boot], packed(session.id))
  end
  for boot, items in pairs(of) do
    local receivers = redis.call(verb, user.prefix .. 'to:' .. boot, fill(envelope, items))
    if receivers > 0 then heard = heard + #items end
  end
  return heard
end

