-- Does, on one key of our own, everything that the service will do, and removes it; on keys of the templates only what
-- changes nothing (no row can have these keys). KEYS: our own, then one for each template.
redis.call('DEL', KEYS[1])
redis.call('SADD', KEYS[1], 'x')
redis.call('SMEMBERS', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'x', '1')
redis.call('HGET', KEYS[1], 'x')
redis.call('HMGET', KEYS[1], 'x')
redis.call('HLEN', KEYS[1])
redis.call('HINCRBY', KEYS[1], 'x', 1)
redis.call('HSCAN', KEYS[1], 0)
redis.call('SCAN', 0, 'COUNT', 1)
redis.call('DEL', KEYS[1])
for i = 2, #KEYS do
  redis.call('HGET', KEYS[i], 'x')
  redis.call('HDEL', KEYS[i], 'x')
end
return 1
