-- Give up messages. ARGV: settings, why, tags.
for n = 3, #ARGV do
  local entry = redis.call('HGET', unacked, ARGV[n])
  if entry then
    local raw, _, _, queue = parts_of(entry)
    bury(ARGV[2], raw and queue or '', raw or entry)
  end
  forget(ARGV[n])
  redis.call('HDEL', deliveries, ARGV[n])
end
