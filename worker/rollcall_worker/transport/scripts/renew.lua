-- Renew the leases of these messages. ARGV: settings, tags. Returns the tags that are claimed no longer: acknowledged this
-- moment, or put back because their lease had ended.
local now, gone = score(seconds()), {}
for n = 2, #ARGV do
  -- ZREM comes before ZADD: a Redis that is full refuses a script that begins with a command that needs memory.
  if redis.call('ZREM', index, ARGV[n]) == 1 then
    redis.call('ZADD', index, now, ARGV[n])
  else
    gone[#gone + 1] = ARGV[n]
  end
end
return gone
