-- Give up messages. ARGV: settings, why, tags.
for n = 3, #ARGV do
  local entry = redis.call('HGET', unacked, ARGV[n])
  -- before the letter is written: a Redis that is full refuses a script that begins with a command that needs memory
  forget(ARGV[n])
  redis.call('HDEL', deliveries, ARGV[n])
  if entry then
    local raw, _, _, queue = parts_of(entry)
    bury(ARGV[2], raw and queue or '', raw or entry)
  end
end
