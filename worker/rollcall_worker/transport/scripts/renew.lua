-- Renew the leases of these messages. ARGV: settings, tags. Returns the tags that are claimed no longer: acknowledged this
-- moment, or put back because their lease had ended.
local now, gone = score(seconds()), {}
for n = 2, #ARGV do
  redis.call('ZADD', index, 'XX', now, ARGV[n])
  if not redis.call('ZSCORE', index, ARGV[n]) then gone[#gone + 1] = ARGV[n] end
end
return gone
