-- KEYS: the progress of each partition to forget. The owner epoch stays and rises: whoever applies now must claim anew.
for i = 1, #KEYS do
  redis.call('HINCRBY', KEYS[i], 'owner_epoch', 1)
  redis.call('HDEL', KEYS[i], 'log_id', 'next_offset', 'last_offset', 'term', 'version', 'transaction_id', 'committed_at_us', 'mapping_hash', 'barrier', 'barrier_from', 'barrier_to')
end
return #KEYS
