--[[
  Remembers that a repository holds blobs, and forgets what was not met for longest.

  KEYS[1]  hash: digest -> its repositories, the newest first, separated by blanks
  ARGV[1]  sorted set of the same digests by time
  ARGV[2]  sorted set of the registry's repositories by time
  ARGV[3]  repository
  ARGV[4]  now
  ARGV[5]  seconds to keep all of it
  ARGV[6]  digests kept
  ARGV[7]  repositories kept, of one digest and of the registry
  ARGV[8]  and on: digests

  Output: digests forgotten
]]
local by_time, repositories, repository, now = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local of_digest, of_registry = string.match(ARGV[7], '(%d+)/(%d+)')

for at = 8, #ARGV do
  local kept = { repository }
  for known in string.gmatch(redis.call('HGET', KEYS[1], ARGV[at]) or '', '%S+') do
    if known ~= repository and #kept < tonumber(of_digest) then
      kept[#kept + 1] = known
    end
  end
  redis.call('HSET', KEYS[1], ARGV[at], table.concat(kept, ' '))
  redis.call('ZADD', by_time, now, ARGV[at])
end
redis.call('ZADD', repositories, now, repository)
redis.call('ZREMRANGEBYRANK', repositories, 0, -1 - tonumber(of_registry))

local forgotten = 0
local over = redis.call('ZCARD', by_time) - tonumber(ARGV[6])
if over > 0 then
  local oldest = redis.call('ZRANGE', by_time, 0, over - 1)
  for _, digest in ipairs(oldest) do
    redis.call('HDEL', KEYS[1], digest)
    redis.call('ZREM', by_time, digest)
  end
  forgotten = #oldest
end
for _, key in ipairs({ KEYS[1], by_time, repositories }) do
  redis.call('EXPIRE', key, ARGV[5])
end
return forgotten
