-- One part of a batch: either the rows and, with the last part, the progress; or nothing at all.
-- KEYS: the partition's progress, the topic's tombstones, then the keys of the rows.
-- ARGV: our owner epoch; log id, next offset and version of the progress that must stand there ('' where there is none);
--   how many arguments of new progress follow (0: more parts of the batch come), these as field, value;
--   how many shapes follow, each as its number of columns and their names, __version first;
--   for each row: its version, the number of its shape (0: the row is gone), then as many values, but the version.
-- Answers 'written', 'owner', 'progress', or 'type' and the number of the row whose key holds something else.
local at = 5
local function take()
  local argument = ARGV[at]
  at = at + 1
  return argument
end

-- unpack is limited to about 8000 values.
local function put(key, fields, length)
  for from = 1, length, 4000 do
    redis.call('HSET', key, unpack(fields, from, math.min(from + 3999, length)))
  end
end

local stands = redis.call('HMGET', KEYS[1], 'owner_epoch', 'log_id', 'next_offset', 'version')
if stands[1] ~= ARGV[1] then return {'owner'} end
for i = 2, 4 do
  if (stands[i] or '') ~= ARGV[i] then return {'progress'} end
end

local progress = {}
for i = 1, tonumber(take()) do progress[i] = take() end
local shapes = {}
for i = 1, tonumber(take()) do
  local fields, count = {}, tonumber(take())
  for column = 1, count do fields[column * 2 - 1] = take() end
  shapes[i] = {fields = fields, count = count}
end

-- Everything is read before anything is written: an error half-way would leave what was written before it.
local rows = #KEYS - 2
local held = {}
for i = 1, rows do
  local found = redis.pcall('HGET', KEYS[i + 2], '__version')
  if type(found) == 'table' then
    if string.find(found.err, 'WRONGTYPE', 1, true) then return {'type', i} end
    return found
  end
  held[i] = found
end
local buried = rows > 0 and redis.call('HMGET', KEYS[2], unpack(KEYS, 3)) or {}

for i = 1, rows do
  local key, version, shape = KEYS[i + 2], ARGV[at], shapes[tonumber(ARGV[at + 1])]
  at = at + 2
  -- Equal is not older: a replay by order of a person must write the row as the mapping now wants it.
  local late = (held[i] and older(version, held[i])) or (buried[i] and older(version, buried[i]))
  if not shape then
    if not late then
      redis.call('DEL', key)
      redis.call('HSET', KEYS[2], key, version)
    end
  elseif late then
    at = at + shape.count - 1
  else
    local fields, count = shape.fields, shape.count
    fields[2] = version
    for column = 2, count do fields[column * 2] = ARGV[at + column - 2] end
    at = at + count - 1
    put(key, fields, count * 2)
    -- Fields that the row no longer has (now NULL, or a column that went) leave with the whole old hash.
    if redis.call('HLEN', key) ~= count then
      redis.call('DEL', key)
      put(key, fields, count * 2)
    end
    if buried[i] then redis.call('HDEL', KEYS[2], key) end
  end
end

if #progress > 0 then redis.call('HSET', KEYS[1], unpack(progress)) end
return {'written'}
