-- One bounded step over a topic's tombstones: forgets those that every partition of the topic has passed.
-- KEYS: the tombstones, then the progress of every partition of the topic. ARGV: where the last step ended.
-- Answers where this one ended ('0': all were seen) and how many it forgot.
local lowest
for i = 2, #KEYS do
  local version = redis.call('HGET', KEYS[i], 'version')
  if not version then return {'0', 0} end
  if not lowest or older(version, lowest) then lowest = version end
end
local found = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', 500)
local forgotten = 0
for i = 1, #found[2], 2 do
  if older(found[2][i + 1], lowest) then
    redis.call('HDEL', KEYS[1], found[2][i])
    forgotten = forgotten + 1
  end
end
return {found[1], forgotten}
