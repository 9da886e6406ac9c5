-- Make dead letters of messages. ARGV: settings, code, tags.
for n = 3, #ARGV do
  local entry = redis.call('HGET', unacked, ARGV[n])
  if entry then
    local raw, _, _, queue = parts_of(entry)
    if not raw then raw, queue = written_parts_of(entry) end
    dead_letter(ARGV[n], ARGV[2], raw and queue or '', raw or entry)
  else
    remove(ARGV[n])
    redis.call('HDEL', deliveries, ARGV[n])
  end
end
