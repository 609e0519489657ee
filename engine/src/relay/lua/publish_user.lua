-- Sends a message to every other node that has sessions of a user, once to each, and writes the head.
--
-- KEYS  the user's hash (see directory.lua)
-- ARGV  see heads.lua, then: prefix
-- Returns how many nodes it was sent to, or -1: the user is not online anywhere, and no head is written
--
-- Heads of a user's hash end in :<ms since 1970> of their writing: the hash lives as long as the user is online, and
-- nodes come and go meanwhile. A node's first message to the user removes the heads of those that forgot their numbers
-- since.

local flat = redis.call('HGETALL', KEYS[1])
if #flat == 0 then return -1 end

local own, old, told, nodes = 'h:' .. ARGV[1], false, {[ARGV[1]] = true}, {}
for at = 1, #flat, 2 do
  local field, kind = flat[at], string.sub(flat[at], 1, 2)
  if kind == 's:' then
    local boot = string.match(flat[at + 1], '^(%x+)%.')
    if boot and not told[boot] then
      told[boot] = true
      nodes[#nodes + 1] = boot
    end
  elseif field == own then
    old = flat[at + 1]
  end
end

local now_s = tonumber(redis.call('TIME')[1])
if not old then
  for at = 1, #flat, 2 do
    if string.sub(flat[at], 1, 2) == 'h:' then
      local written_ms = tonumber(string.match(flat[at + 1], ':(%d+)$') or '0')
      if written_ms < (now_s - HEADS_KEPT_S) * 1000 then redis.call('HDEL', KEYS[1], flat[at]) end
    end
  end
end
redis.call('HSET', KEYS[1], own, head(old) .. ':' .. string.format('%.0f', now_s * 1000))
for _, boot in ipairs(nodes) do
  redis.call(ARGV[5], ARGV[7] .. 'to:' .. boot, ARGV[6])
end
return #nodes
