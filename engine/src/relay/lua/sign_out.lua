-- Takes a session from a user's. The last one takes the user's hash with it, unless the hash is kept for a node that
-- was cut off.
--
-- KEYS  the user's hash
-- ARGV  prefix, user, session
-- Returns 1: it was there, 0: it was not, and nothing has changed
--
-- One script, because a sign-in on another node in between must not lose its hash.

local user = read(ARGV[1], ARGV[2])
if not user.sessions[ARGV[3]] then return 0 end
remove(user, ARGV[3])
settle(user)
return 1
