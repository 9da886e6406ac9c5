-- Put back the messages of workers that are gone: those with an expired lease. A *stock* worker does not renew leases, so
-- its messages are left to it for its own visibility timeout. ARGV: settings, how many at most.
-- Returns how many were put back; fewer than there are if they are large, none if the queues belong to another store.
if foreign_owner(settings.store) then return 0 end
local limit, time = tonumber(ARGV[2]), seconds()
local restored, skipped, bytes = 0, 0, 0
local function expired(page)
  return redis.call('ZRANGE', index, '-inf', score(time - settings.lease), 'BYSCORE', 'LIMIT', skipped, page)
end

local tags = expired(limit)
while #tags > 0 and restored < limit do
  for _, tag in ipairs(tags) do
    if restored > 0 and bytes >= settings.claim_bytes then return restored end
    bytes = bytes + redis.call('HSTRLEN', unacked, tag)
    local how = {counted = true, marked = true}
    if tonumber(redis.call('ZSCORE', index, tag)) > time - settings.visibility_timeout then how.stock = false end
    -- a message that this cannot handle stays where it is, and stops no other
    local ok, is_back = pcall(put_back, tag, how)
    if ok and is_back then
      restored = restored + 1
    elseif redis.call('ZSCORE', index, tag) then
      skipped = skipped + 1
    end
  end
  tags = expired(limit)
end
return restored
