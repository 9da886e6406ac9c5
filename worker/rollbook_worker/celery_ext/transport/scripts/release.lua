-- Put messages back at the head of their queues, as if they had not been claimed. ARGV: settings, 1 if a task may have
-- started them, the time when Redis last confirmed that they are the caller's (or nothing), tags. The first tag in the
-- order of claims comes last. A worker that claimed a message after that time has a lease of a later time, and keeps it.
local held_at, released = tonumber(ARGV[3]), 0
local function is_of_another(tag)
  local since = held_at and redis.call('ZSCORE', index, tag)
  return since and tonumber(since) > held_at
end

for n = 4, #ARGV do
  if not is_of_another(ARGV[n]) and put_back(ARGV[n], {marked = ARGV[2] == '1'}) then released = released + 1 end
end
return released
