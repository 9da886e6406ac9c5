-- These messages are done. ARGV: settings, tags.
for n = 2, #ARGV do
  remove(ARGV[n])
  redis.call('HDEL', deliveries, ARGV[n])
end
