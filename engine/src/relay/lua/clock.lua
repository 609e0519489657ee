-- What every script uses that tells the time: Redis's own, so that nodes need not agree on it.

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lua writes large numbers as 1.7e+12.
local function whole(number)
  return string.format('%.0f', number)
end

