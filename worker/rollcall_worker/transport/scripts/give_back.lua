-- Put messages back at the head of their queues, as if they had not been claimed. ARGV: settings, 1 if somebody may have
-- seen them, tags; the tag that came first ends as the last to be taken.
local returned = 0
for n = 3, #ARGV do
  if put_back(ARGV[n], {marked = ARGV[2] == '1'}) then returned = returned + 1 end
end
return returned
