-- What the scripts that change schedules share.
--
-- KEYS of all: schedules (name -> <number> <start, ms since 1970> <plan>), their version, last ticks (see claim.lua)

-- Another version than any before: about the time, so that it is none from before Redis lost its memory either.
local function changed()
  local version = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
  redis.call('SET', KEYS[2], whole(math.max(now_ms(), version + 1)))
end

