-- Put messages that a worker refused behind the others. ARGV: settings, tags.
for n = 2, #ARGV do put_back(ARGV[n], {counted = true, marked = true, last = true}) end
