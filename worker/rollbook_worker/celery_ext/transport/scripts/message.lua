-- What every script knows of messages. It is put before each script.
--
-- An entry of `unacked` is [MESSAGE,"","QUEUE"] with the message byte for byte as it was sent. For a stock worker that
-- means "sent to this queue through the default exchange". So it too puts the message back where it came from, whatever
-- exchange it was published to. Stock workers write their own entries with a space after each comma, by which the scripts
-- recognize them, and with the exchange of the message.
local unacked, index, deliveries, dead_letters, owner_key = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
-- Decoded when a script first asks for one: claims are many, and seldom need any.
local settings = setmetatable({}, {
  __index = function(decoded, name)
    for key, value in pairs(cjson.decode(ARGV[1])) do decoded[key] = value end
    return rawget(decoded, name)
  end,
})

-- Delivery counts are deleted after this many seconds, in case their messages were purged by another program.
local COUNTS_KEPT = 7 * 24 * 3600

local function seconds()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- The id of another store than the caller's, to which these queues belong; nothing if they belong to the caller's. Queues
-- without an owner become the caller's; a full Redis refuses that, and the next caller tries again.
local function foreign_owner(store)
  if store == '' then return nil end
  local owner = redis.call('GET', owner_key)
  if owner == store then return nil end
  if owner then return owner end
  redis.pcall('SET', owner_key, store)
end

-- Lua's default format for numbers would cut a time to whole seconds or worse.
local function score(time)
  return string.format('%.6f', time)
end

-- What follows the message in an entry.
local function tail_of(queue)
  return ',"",' .. cjson.encode(queue) .. ']'
end

-- The parts of an entry: the message as sent, the message decoded, exchange, routing key, whether stock wrote it.
-- Nothing for an entry that cannot be split without changing the message, or that is no message: one bad entry must not
-- end a script that goes through many.
local function parts_of(entry)
  local ok, parts = pcall(cjson.decode, entry)
  if not ok or type(parts) ~= 'table' or type(parts[1]) ~= 'table' then return nil end
  if type(parts[1].properties) ~= 'table' or type(parts[2]) ~= 'string' or type(parts[3]) ~= 'string' then return nil end
  for _, comma in ipairs({',', ', '}) do
    local tail = comma .. cjson.encode(parts[2]) .. comma .. cjson.encode(parts[3]) .. ']'
    if entry:sub(-#tail) == tail then
      return entry:sub(2, -#tail - 1), parts[1], parts[2], parts[3], comma == ', '
    end
  end
end

-- The parts of an entry that one of our workers wrote, whatever its message is: the message as sent, and its queue.
-- Nothing for another entry.
local function written_parts_of(entry)
  local raw, queue = entry:match('^%[(.*),"",("[^"\\]*")%]$')
  if raw then return raw, cjson.decode('[' .. queue .. ']')[1] end
end

-- The list of a queue for messages of this priority; 0 is the most urgent and has no suffix.
local function list_of(queue, message)
  local priority = tonumber(message.properties.priority)
  local level = settings.steps[#settings.steps]
  for _, step in ipairs(settings.steps) do
    if step <= math.max(0, math.min(9, priority or 0)) then level = step end
  end
  if level == 0 then return settings.prefix .. queue end
  return settings.prefix .. queue .. settings.sep .. string.format('%d', level)
end

local function queues_of(exchange, routing_key)
  if exchange == '' then return {routing_key} end
  local queues = {}
  local bindings = redis.pcall('SMEMBERS', settings.prefix .. '_kombu.binding.' .. exchange)
  if bindings.err then return queues end
  for _, binding in ipairs(bindings) do
    -- KEY SEP PATTERN SEP QUEUE
    local first, last = binding:find(settings.sep, 1, true)
    local _, second = binding:find(settings.sep, (last or #binding) + 1, true)
    if second and binding:sub(1, first - 1) == routing_key then queues[#queues + 1] = binding:sub(second + 1) end
  end
  return queues
end

-- Whether a message can be put into this list now. Redis undoes nothing of a script that fails: so a script asks before
-- it removes the message from where it was. The key may be of another type, which only a program beside ours can do.
local function is_list(key)
  return type(redis.pcall('LLEN', key)) == 'number'
end

-- The message with the mark that stock workers set on a redelivery. The text is edited, so that nothing else of the
-- message changes: decoding and encoding in Lua would turn [] into {}. If the result is not as meant, there is no mark.
local function marked(raw, message)
  local text = raw
  for _, section in ipairs({'headers', 'delivery_info'}) do
    local _, place, rest = text:find('"' .. section .. '": ?{%s*(.)')
    if place then
      text = text:sub(1, place - 1) .. '"redelivered": true' .. (rest == '}' and '' or ', ') .. text:sub(place)
    end
  end
  local ok, now = pcall(cjson.decode, text)
  local worked = ok and type(now.headers) == 'table' and now.headers.redelivered == true
    and type(now.properties.delivery_info) == 'table' and now.properties.delivery_info.redelivered == true
    and now.properties.delivery_tag == message.properties.delivery_tag
  return worked and text or raw
end

local function is_marked(message)
  return type(message.headers) == 'table' and message.headers.redelivered == true
end

-- If the index is of another type, this fails before anything is removed.
local function remove(tag)
  redis.call('ZREM', index, tag)
  redis.call('HDEL', unacked, tag)
end

-- Bytes that are kept of an item that is not a message: enough to see what it was, and few enough that a hundred
-- megabytes of junk do not keep Redis busy for a minute.
local JUNK_KEPT = 1000000

local REASONS = {
  malformed = 'not a message that can be read',
  unexpected_error = 'its task failed with an unexpected error; the log of its worker has the traceback',
  kills_worker = 'delivered as often as is allowed, and never acknowledged; it may kill its worker',
}

local function escaped(byte)
  return string.format('\\x%02x', byte:byte())
end

-- A message for the task that stores dead letters, with the failed message in it. It is a message like any other: any
-- worker claims it, and acknowledges it when the dead letter is stored.
local function dead_letter_message(code, queue, raw)
  local text, reason = raw, REASONS[code] or code
  if code == 'malformed' then
    if #raw > JUNK_KEPT then
      reason = reason .. '; only its first ' .. JUNK_KEPT .. ' bytes are kept'
    end
    -- an item of an unknown sender may not even be text
    text = raw:sub(1, JUNK_KEPT):gsub('[\128-\255]', escaped)
  end
  local tag = 'dead#' .. redis.sha1hex(raw)
  return cjson.encode({
    body = cjson.encode({{text, reason, code}, {}, {}}),
    ['content-type'] = 'application/json',
    ['content-encoding'] = 'utf-8',
    headers = {lang = 'py', task = settings.dead_letter_task, id = tag, argsrepr = '(not shown)', kwargsrepr = '{}'},
    properties = {
      delivery_tag = tag,
      delivery_mode = 2,
      delivery_info = {exchange = '', routing_key = queue},
      priority = 0,
      correlation_id = tag,
      reply_to = '',
    },
  })
end

-- Make a dead letter of a claimed message; return whether it could be. If it is a dead letter itself, or its queue is
-- unknown, it goes into a list for operators to look at.
local function dead_letter(tag, code, queue, raw)
  local ok, message = pcall(cjson.decode, raw)
  local headers = ok and type(message) == 'table' and message.headers
  local list, item = settings.prefix .. queue, raw
  if queue == '' or (type(headers) == 'table' and headers.task == settings.dead_letter_task) then
    list = dead_letters
  else
    item = dead_letter_message(code, queue, raw)
  end
  if not is_list(list) then return false end
  -- before the dead letter is written: a full Redis refuses a script that begins with a command that needs memory
  remove(tag)
  redis.call('LPUSH', list, item)
  redis.pcall('HDEL', deliveries, tag)
  return true
end

-- Failed deliveries of a message so far; none if they cannot be read.
local function failures_of(tag)
  local count = redis.pcall('HGET', deliveries, tag)
  return type(count) == 'string' and tonumber(count) or 0
end

-- Put a claimed message back into its queue; return whether it was claimed. `how`:
--   counted  this delivery failed: after too many the message becomes a dead letter
--   marked   mark it as redelivered: a task may have started it
--   last     at the end of the queue; otherwise it is claimed next
--   stock    only if a stock worker claimed it (true), or only if one of ours did (false); nil: either
local function put_back(tag, how)
  local entry = redis.call('HGET', unacked, tag)
  if not entry then
    redis.call('ZREM', index, tag)
    return false
  end
  local raw, message, exchange, routing_key, stock = parts_of(entry)
  if how.stock ~= nil and how.stock ~= stock then return false end
  if not raw then
    local malformed, queue = written_parts_of(entry)
    return dead_letter(tag, 'malformed', queue or '', malformed or entry)
  end
  local queues = queues_of(exchange, routing_key)
  -- Nowhere to put it: it stays in `unacked` until its queue is declared again.
  if #queues == 0 then return false end
  for _, queue in ipairs(queues) do
    if not is_list(list_of(queue, message)) then return false end
  end
  local count = 0
  if how.counted then
    count = failures_of(tag) + 1
    if settings.max_deliveries > 0 and count >= settings.max_deliveries then
      return dead_letter(tag, 'kills_worker', queues[1], raw)
    end
  end
  remove(tag)
  if how.counted and type(redis.pcall('HSET', deliveries, tag, count)) == 'number' then
    redis.call('EXPIRE', deliveries, COUNTS_KEPT)
  end
  if how.marked and not is_marked(message) then raw = marked(raw, message) end
  local push = (how.last or count >= settings.poison_suspect_after) and 'LPUSH' or 'RPUSH'
  for _, queue in ipairs(queues) do redis.call(push, list_of(queue, message), raw) end
  return true
end
