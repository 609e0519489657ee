-- What the scripts that change schedules share.
--
-- KEYS of all: schedules (name -> <number> <start, ms since 1970> <plan>), their version, last ticks (see claim.lua)

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function whole(number)
  return string.format('%.0f', number)
end

-- Another version than any before: about the time, so that it is none from before Redis lost its memory either.
local function changed()
  local version = tonumber(redis.call('GET', KEYS[2]) or '0') or 0
  redis.call('SET', KEYS[2], whole(math.max(now_ms(), version + 1)))
end

