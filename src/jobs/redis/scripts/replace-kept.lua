--[[
  Writes or removes what is kept of a registry, or a key that is kept, where it still is what its writer has seen. Field '' is another
  with each write, which the channel of the same name is told of.

  KEYS[1]  hash of registries, or of keys
  ARGV[1]  registry, or the key's name
  ARGV[2]  what was seen, '' for nothing
  ARGV[3]  what to write, '' to remove it
  ARGV[4]  most of them
  ARGV[5]  a version that no write had before

  Output: 1 done | 0 it is another by now | -1 there are too many
]]
local now = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if now ~= ARGV[2] then
  return 0
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
else
  -- The version is a field too.
  if now == '' and redis.call('HLEN', KEYS[1]) > tonumber(ARGV[4]) then
    return -1
  end
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
end
redis.call('HSET', KEYS[1], '', ARGV[5])
redis.call('PUBLISH', KEYS[1], ARGV[1])
return 1
