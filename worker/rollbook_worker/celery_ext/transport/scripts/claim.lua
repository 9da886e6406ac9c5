-- Acknowledge, then move messages from the queues into `unacked`, with leases from now.
--
-- KEYS from 6: the lists of the queues, most urgent priority first. ARGV: settings, the id of the caller's store, how
-- many messages at most, 1 if the caller holds none and so may claim a poison suspect, after how many bytes to stop, how
-- many queues, their names, the tags to acknowledge.
-- Returns what is left in the queues, the time from which the leases run, then for each message the number of its queue,
-- its tag and the message. If the queues belong to another store, nothing is claimed, and its id is returned instead.
local room, allow_suspect, most_bytes, width = tonumber(ARGV[3]), ARGV[4] == '1', tonumber(ARGV[5]), tonumber(ARGV[6])
local names, acks = {}, {}
for n = 7, 6 + width do names[#names + 1] = ARGV[n] end
for n = 7 + width, #ARGV do acks[#acks + 1] = ARGV[n] end

-- RPOP comes before HSET: a full Redis refuses a script that *begins* with a command that needs memory.
if #acks > 0 then
  redis.call('ZREM', index, unpack(acks))
  redis.call('HDEL', unacked, unpack(acks))
  redis.call('HDEL', deliveries, unpack(acks))
end

local now = score(seconds())
local foreign = foreign_owner(ARGV[2])
if foreign then return {'foreign', now, foreign} end

-- HLEN fails here if the key is of another type. Redis undoes nothing of a script that fails, so nothing may fail later.
local counted = redis.call('HLEN', deliveries) > 0
local claimed, bytes, failure = {'more', now}, 0, nil
local UUID_LENGTH = 36
local TAG_AT_END = '^"delivery_tag":"(%x+%-%x+%-%x+%-%x+%-%x+)"}}$'
local TAG_AT_END_LENGTH = UUID_LENGTH + #'"delivery_tag":""}}'

-- What an entry has after the message, by the number of its queue.
local tails = {}
for queue = 1, width do tails[queue] = tail_of(names[queue]) end

-- The message in a list item; nothing if kombu could not deliver it.
local function message_in(raw)
  local ok, message = pcall(cjson.decode, raw)
  local properties = ok and type(message) == 'table' and message.properties
  local tag = type(properties) == 'table' and properties.delivery_tag
  local has_tag = type(tag) == 'string' or type(tag) == 'number'
  return has_tag and type(properties.delivery_info) == 'table' and message or nil
end

-- The name of a message in `unacked`, by which it is acknowledged: its tag. kombu's tags are UUIDs. Another sender may use
-- one tag for several messages, and acknowledgements may come late, when the lease has expired and other workers hold
-- both. So the name has a hash of the body, which stays the same whichever worker claims the message, and not a number in
-- the order of claims.
local function name_of(message, raw)
  local tag, body = tostring(message.properties.delivery_tag), message.body
  if #tag == UUID_LENGTH then return tag end
  return tag .. '#' .. redis.sha1hex(type(body) == 'string' and body or raw)
end

-- The tag of a message as our client writes it: a UUID, as the last of its text. Decoding the whole message would take
-- more time than all else of its claim. A text that ends like this and is no message is found out by its worker.
local function tag_at_end(raw)
  return raw:sub(-TAG_AT_END_LENGTH):match(TAG_AT_END)
end

-- Claim one message; false if it must be left to a worker that holds nothing else, or cannot be claimed.
local function claim(queue, raw)
  local name = tag_at_end(raw)
  if not name then
    local message = message_in(raw)
    if not message then
      raw = dead_letter_message('malformed', names[queue], raw)
      message = message_in(raw)
    end
    name = name_of(message, raw)
  end
  if counted and tonumber(redis.call('HGET', deliveries, name) or 0) >= settings.poison_suspect_after then
    if not allow_suspect or #claimed > 2 then return false end
    claimed[1] = 'poison_suspect'
  end
  -- The same message sent twice: the second must not take the place of the first.
  local own, number = name, 1
  local entry = '[' .. raw .. tails[queue]
  local kept = redis.pcall('HSETNX', unacked, own, entry)
  while kept == 0 do
    own, number = name .. '#' .. number, number + 1
    kept = redis.pcall('HSETNX', unacked, own, entry)
  end
  local leased = kept == 1 and redis.pcall('ZADD', index, now, own)
  if type(leased) ~= 'number' then
    if kept == 1 then redis.call('HDEL', unacked, own) end
    failure = leased or kept
    return false
  end
  room, bytes = room - 1, bytes + #raw
  claimed[#claimed + 1] = queue
  claimed[#claimed + 1] = own
  claimed[#claimed + 1] = raw
  return true
end

local function is_enough()
  return room <= 0 or bytes >= most_bytes or claimed[1] == 'poison_suspect' or failure ~= nil
end

-- The error of a list that is none. It must not keep the messages of the others.
local broken

-- Claim up to `share` messages of one list; return whether it may hold more. One by one: only then is the size known.
local function claim_from(list, queue, share)
  for _ = 1, share do
    local raw = redis.pcall('RPOP', list)
    if type(raw) ~= 'string' then
      if raw then broken = raw end
      return false
    end
    if not claim(queue, raw) then
      redis.call('RPUSH', list, raw)
      if not failure then claimed[1] = 'poison_suspect' end
    end
    if is_enough() then return true end
  end
  return true
end

for first = 6, #KEYS, width do
  local active = {}
  for queue = 1, width do active[queue] = queue end
  while #active > 0 and not is_enough() do
    local share, still_active = math.ceil(room / #active), {}
    for _, queue in ipairs(active) do
      if is_enough() then break end
      if claim_from(KEYS[first + queue - 1], queue, math.min(share, room)) then
        still_active[#still_active + 1] = queue
      end
    end
    active = still_active
  end
end

if failure then return failure end
if broken and #claimed == 2 then return broken end
if claimed[1] == 'more' and not is_enough() then
  claimed[1] = 'empty'
  -- Reading the lists makes Redis notify this client of the next message in one of them.
  for list = 6, #KEYS do redis.pcall('LLEN', KEYS[list]) end
end
return claimed
