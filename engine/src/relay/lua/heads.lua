-- What the scripts that publish share.
--
-- A head, h:<boot> -> <generation>:<first>:<last>, is what Redis remembers of one node's messages to a stream: the
-- numbers of the first that whoever is there now was meant to get, and of the last. It is written with each publish,
-- so that a receiver whose connection was cut can tell how many it missed. A new generation says that the one before
-- is long settled.
--
-- ARGV of all begins: own boot, generation, number, first number if this message is the first of its generation,
-- PUBLISH or SPUBLISH, envelope

local HEADS_KEPT_S = 900 -- as long as a sender remembers its numbers

-- The new value of the node's head, given the old one or false.
--
-- A publication in doubt is sent again: that must not set back what was written after it.
local function head(old)
  local generation, number, first = ARGV[2], ARGV[3], ARGV[4]
  if old then
    local old_generation, old_first, old_last = string.match(old, '^(%d+):(%d+):(%d+)')
    if old_generation == generation then
      first = old_first
      if tonumber(old_last) > tonumber(number) then number = old_last end
    elseif old_generation and tonumber(old_generation) > tonumber(generation) then
      generation, first, number = old_generation, old_first, old_last
    end
  end
  return generation .. ':' .. first .. ':' .. number
end

