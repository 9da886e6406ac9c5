-- Renew the leases of these messages. ARGV: settings, tags. Returns the time from which they run now, then the tags that
-- are no longer claimed: acknowledged just now, or put back because their lease had expired.
local now = score(seconds())
local answer = {now}
for n = 2, #ARGV do
  -- ZREM comes before ZADD: a full Redis refuses a script that begins with a command that needs memory.
  if redis.call('ZREM', index, ARGV[n]) == 1 then
    redis.call('ZADD', index, now, ARGV[n])
  else
    answer[#answer + 1] = ARGV[n]
  end
end
return answer
