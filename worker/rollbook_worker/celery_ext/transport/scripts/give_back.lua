-- Put messages back at the head of their queues, as if they had not been claimed. ARGV: settings, 1 if somebody may have
-- seen them, the time when the caller last knew that they are its own or nothing, tags; the tag that came first ends as
-- the last to be taken. Who claimed a message after that time has a lease of a later time, and keeps it.
local held_at, returned = tonumber(ARGV[3]), 0
local function is_anothers(tag)
  local since = held_at and redis.call('ZSCORE', index, tag)
  return since and tonumber(since) > held_at
end

for n = 4, #ARGV do
  if not is_anothers(ARGV[n]) and put_back(ARGV[n], {marked = ARGV[2] == '1'}) then returned = returned + 1 end
end
return returned
