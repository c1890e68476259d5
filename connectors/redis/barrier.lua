-- A partition comes to a barrier; when all have come and the work is done, all of them go behind it. All or nothing.
-- KEYS: the progress of this partition, then of every partition of the barrier.
-- ARGV: our owner epoch; log id, next offset and version of the progress that must stand there ('' where there is none);
--   the barrier's version; 'done' when the work is; then the progress behind it, as field, value.
-- Answers 'owner', 'progress', 'waiting' (others have not come), 'work' (all have: do it, then come again), or 'behind'.
local stands = redis.call('HMGET', KEYS[1], 'owner_epoch', 'log_id', 'next_offset', 'version')
if stands[1] ~= ARGV[1] then return 'owner' end
local to, next_offset = {}, ''
for i = 7, #ARGV do
  to[#to + 1] = ARGV[i]
  if ARGV[i] == 'next_offset' and i % 2 == 1 then next_offset = ARGV[i + 1] end
end
-- Whoever came last moved us too.
if stands[3] == next_offset and stands[4] == ARGV[5] then return 'behind' end
for i = 2, 4 do
  if (stands[i] or '') ~= ARGV[i] then return 'progress' end
end

redis.call('HSET', KEYS[1], 'barrier', ARGV[5], 'barrier_from', ARGV[3], 'barrier_to', cjson.encode(to))
local goals = {}
for i = 2, #KEYS do
  local at = redis.call('HMGET', KEYS[i], 'barrier', 'barrier_from', 'next_offset', 'barrier_to')
  -- Progress that is another than at the arrival makes it void.
  if at[1] ~= ARGV[5] or at[2] ~= (at[3] or '') then return 'waiting' end
  goals[i] = at[4]
end
if ARGV[6] ~= 'done' then return 'work' end
for i = 2, #KEYS do
  redis.call('HSET', KEYS[i], unpack(cjson.decode(goals[i])))
  redis.call('HDEL', KEYS[i], 'barrier', 'barrier_from', 'barrier_to')
end
return 'behind'
