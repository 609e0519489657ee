-- Sends a message to a channel, or to all, and writes the head.
--
-- KEYS  the stream's heads
-- ARGV  see heads.lua, then: the channel of Redis, which lies in the same slot
-- Returns how many nodes heard it
--
-- The heads end when nobody has sent for so long: each sender begins a new generation then.

local own = 'h:' .. ARGV[1]
redis.call('HSET', KEYS[1], own, head(redis.call('HGET', KEYS[1], own)))
redis.call('EXPIRE', KEYS[1], HEADS_KEPT_S)
return redis.call(ARGV[5], ARGV[7], ARGV[6])
