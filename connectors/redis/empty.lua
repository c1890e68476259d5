-- Removes, of these keys, the rows that are older than a TRUNCATE.
-- KEYS: the partition's progress, then keys that a row of the table can have. ARGV: our owner epoch, the TRUNCATE's version.
-- Answers how many went, or -1 where the partition is not ours any more.
if redis.call('HGET', KEYS[1], 'owner_epoch') ~= ARGV[1] then return -1 end
local gone = 0
for i = 2, #KEYS do
  -- What is no hash, or has no version, is not ours.
  local version = redis.pcall('HGET', KEYS[i], '__version')
  if type(version) == 'string' and older(version, ARGV[2]) then
    redis.call('DEL', KEYS[i])
    gone = gone + 1
  end
end
return gone
