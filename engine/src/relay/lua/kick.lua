-- Tells the user's sessions on other nodes to close. They stay in the directory until their nodes sign them out.
--
-- KEYS  the user's hash
-- ARGV  prefix, user, own boot, PUBLISH or SPUBLISH, envelope that closes
-- Returns how many sessions were told; those of a node that is gone are not counted

local user, sessions = read(ARGV[1], ARGV[2]), {}
for _, session in pairs(user.sessions) do
  if session.boot ~= ARGV[3] then sessions[#sessions + 1] = session end
end
return tell(user, sessions, ARGV[4], ARGV[5])
