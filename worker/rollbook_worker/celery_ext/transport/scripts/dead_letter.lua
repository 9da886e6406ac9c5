-- Make dead letters of messages. ARGV: settings, code, tags.
for n = 3, #ARGV do
  local entry = redis.call('HGET', unacked, ARGV[n])
  -- before the dead letter is written: a full Redis refuses a script that begins with a command that needs memory
  remove(ARGV[n])
  redis.call('HDEL', deliveries, ARGV[n])
  if entry then
    local raw, _, _, queue = parts_of(entry)
    dead_letter(ARGV[2], raw and queue or '', raw or entry)
  end
end
