-- These messages are done. ARGV: settings, tags.
for n = 2, #ARGV do
  forget(ARGV[n])
  redis.call('HDEL', deliveries, ARGV[n])
end
