-- KEYS: the registry of partitions, that of pipelines, then the progress of each partition. ARGV: our pipeline, then the partitions' ids.
-- Raises each owner epoch and answers, per partition: owner epoch and where it stands.
redis.call('SADD', KEYS[2], ARGV[1])
local answer = {}
for i = 2, #ARGV do
  local key = KEYS[i + 1]
  redis.call('SADD', KEYS[1], ARGV[i])
  redis.call('HINCRBY', key, 'owner_epoch', 1)
  answer[i - 1] = redis.call('HMGET', key, 'owner_epoch', 'log_id', 'next_offset', 'last_offset', 'term', 'version', 'transaction_id', 'committed_at_us', 'mapping_hash')
end
return answer
