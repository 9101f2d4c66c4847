--[[
  A repository does not hold a blob any more.

  KEYS[1]  hash: digest -> its repositories, the newest first, separated by blanks
  ARGV[1]  sorted set of the same digests by time
  ARGV[2]  repository
  ARGV[3]  digest

  Output: 1 forgotten, 0 it was not known
]]
local left, found = {}, 0
for known in string.gmatch(redis.call('HGET', KEYS[1], ARGV[3]) or '', '%S+') do
  if known == ARGV[2] then
    found = 1
  else
    left[#left + 1] = known
  end
end
if #left > 0 then
  redis.call('HSET', KEYS[1], ARGV[3], table.concat(left, ' '))
else
  redis.call('HDEL', KEYS[1], ARGV[3])
  redis.call('ZREM', ARGV[1], ARGV[3])
end
return found
