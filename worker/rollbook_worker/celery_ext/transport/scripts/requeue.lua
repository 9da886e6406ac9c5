-- Put messages that a worker rejected behind the others. ARGV: settings, 1 if this delivery came to nothing, tags.
for n = 3, #ARGV do put_back(ARGV[n], {counted = ARGV[2] == '1', marked = true, last = true}) end
