-- KEYS: the registry of partitions, then the progress of each partition. ARGV: the partitions' ids.
-- Raises each owner epoch and answers, per partition: owner epoch and where it stands.
local answer = {}
for i = 1, #ARGV do
  local key = KEYS[i + 1]
  redis.call('SADD', KEYS[1], ARGV[i])
  redis.call('HINCRBY', key, 'owner_epoch', 1)
  answer[i] = redis.call('HMGET', key, 'owner_epoch', 'log_id', 'next_offset', 'last_offset', 'term', 'version', 'transaction_id', 'committed_at_us', 'mapping_hash')
end
return answer
