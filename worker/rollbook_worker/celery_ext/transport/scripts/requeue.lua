-- Put rejected messages at the end of their queues. ARGV: settings, 1 if this delivery failed, tags.
for n = 3, #ARGV do put_back(ARGV[n], {counted = ARGV[2] == '1', marked = true, last = true}) end
