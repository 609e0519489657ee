-- Changes a user's muted types, and tells the other nodes that have the user.
--
-- KEYS  the user's muted types, the user's hash
-- ARGV  prefix, user, own boot, PUBLISH or SPUBLISH, envelope that mutes, how many types at most,
--       "add", "remove" or "replace", the types
-- Returns { when, in ms since 1970, all types }, or nil: they would be too many, and nothing has changed
--
-- One script, because nothing would repair a change that Redis has and a node was not told. The envelope says when it
-- was, for it goes by another way than what is answered.

local muted, mode = {}, ARGV[7]
if mode ~= 'replace' then
  for _, kind in ipairs(redis.call('SMEMBERS', KEYS[1])) do muted[kind] = true end
end
for at = 8, #ARGV do muted[ARGV[at]] = mode ~= 'remove' or nil end

-- By their bytes: what Lua's own comparison says depends on the machine's language.
local function ascending(one, other)
  for at = 1, math.min(#one, #other) do
    local byte, against = string.byte(one, at), string.byte(other, at)
    if byte ~= against then return byte < against end
  end
  return #one < #other
end

local kinds, items = {}, {}
for kind in pairs(muted) do kinds[#kinds + 1] = kind end
if #kinds > tonumber(ARGV[6]) then return false end
table.sort(kinds, ascending)
redis.call('DEL', KEYS[1])
for at, kind in ipairs(kinds) do
  redis.call('SADD', KEYS[1], kind)
  items[at] = struct.pack('>I4', #kind) .. kind
end

local now = now_ms()
local envelope = stamp(fill(ARGV[5], items), now)
local user, told = read(ARGV[1], ARGV[2]), {[ARGV[3]] = true}
for _, session in pairs(user.sessions) do
  if not told[session.boot] then
    told[session.boot] = true
    redis.call(ARGV[4], user.prefix .. 'to:' .. session.boot, envelope)
  end
end
return {whole(now), kinds}
