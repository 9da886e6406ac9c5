-- Acknowledge, then move messages from the queues into `unacked`, leased from now.
--
-- KEYS from 5: the lists of the queues, most urgent priority first. ARGV: settings, how many messages at most,
-- 1 if the caller holds none, how many queues, their names, the tags to acknowledge.
-- Returns the state the queues were left in, the time from which the leases run, then for each message the number of its
-- queue, its tag and the message.
local room, alone, width = tonumber(ARGV[2]), ARGV[3] == '1', tonumber(ARGV[4])
local names, acks = {}, {}
for n = 5, 4 + width do names[#names + 1] = ARGV[n] end
for n = 5 + width, #ARGV do acks[#acks + 1] = ARGV[n] end

-- RPOP comes before HSET: a Redis that is full refuses a script that *begins* with a command that needs memory.
if #acks > 0 then
  redis.call('ZREM', index, unpack(acks))
  redis.call('HDEL', unacked, unpack(acks))
  redis.call('HDEL', deliveries, unpack(acks))
end

local now = score(seconds())
local counted = redis.call('EXISTS', deliveries) == 1
local taken, bytes = {'more', now}, 0
local UUID_LENGTH = 36

-- The message in a list item; nothing if it is none that kombu could deliver.
local function message_in(raw)
  local ok, message = pcall(cjson.decode, raw)
  local properties = ok and type(message) == 'table' and message.properties
  local tag = type(properties) == 'table' and properties.delivery_tag
  local has_tag = type(tag) == 'string' or type(tag) == 'number'
  return has_tag and type(properties.delivery_info) == 'table' and message or nil
end

-- The name of a message in `unacked`, by which it is acknowledged: its tag. Those of kombu are UUIDs; one of another make
-- may be another message's too, and acknowledgements may come late, when the lease has ended and others hold both. So
-- it is told apart by its body, which stays as it is whoever claims it, and not by who came first.
local function name_of(message, raw)
  local tag, body = tostring(message.properties.delivery_tag), message.body
  if #tag == UUID_LENGTH then return tag end
  return tag .. '#' .. redis.sha1hex(type(body) == 'string' and body or raw)
end

-- Take one message: true if it was, false if it is to be left for a worker that holds nothing else.
local function take(queue, raw)
  local message = message_in(raw)
  if not message then
    raw = letter('malformed', names[queue], raw)
    message = message_in(raw)
  end
  local name = name_of(message, raw)
  if counted and tonumber(redis.call('HGET', deliveries, name) or 0) >= settings.suspect then
    if not alone or #taken > 2 then return false end
    taken[1] = 'suspect'
  end
  -- The same message sent twice: the second must not take the place of the first.
  local own, number = name, 1
  while redis.call('HSETNX', unacked, own, entry_of(raw, names[queue])) == 0 do
    own, number = name .. '#' .. number, number + 1
  end
  redis.call('ZADD', index, now, own)
  room, bytes = room - 1, bytes + #raw
  taken[#taken + 1] = queue
  taken[#taken + 1] = own
  taken[#taken + 1] = raw
  return true
end

local function is_enough()
  return room <= 0 or bytes >= settings.claim_bytes or taken[1] == 'suspect'
end

-- Take up to `share` messages of one list; tell whether it may hold more. One by one: only then is it known how large it is.
local function take_from(list, queue, share)
  for _ = 1, share do
    local raw = redis.call('RPOP', list)
    if not raw then return false end
    if not take(queue, raw) then
      redis.call('RPUSH', list, raw)
      taken[1] = 'suspect'
    end
    if is_enough() then return true end
  end
  return true
end

for first = 5, #KEYS, width do
  local hungry = {}
  for queue = 1, width do hungry[queue] = queue end
  while #hungry > 0 and not is_enough() do
    local share, still = math.ceil(room / #hungry), {}
    for _, queue in ipairs(hungry) do
      if is_enough() then break end
      if take_from(KEYS[first + queue - 1], queue, math.min(share, room)) then still[#still + 1] = queue end
    end
    hungry = still
  end
end

if taken[1] == 'more' and not is_enough() then
  taken[1] = 'empty'
  -- Reading the lists makes Redis tell this client of the next message in one of them.
  for list = 5, #KEYS do redis.call('LLEN', KEYS[list]) end
end
return taken
