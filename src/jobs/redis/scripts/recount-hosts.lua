--[[
  Sets right how many jobs of each host are in the hands of the workers, which the scripts about a job keep.

  KEYS[1]  the hosts
  ARGV[1]  key prefix
  ARGV[2]  another recount within so many ms does nothing
  ARGV[3]  and on: the states whose jobs count

  Output: how many hosts had another count
]]
if not redis.call('SET', KEYS[1] .. ':counted', 1, 'NX', 'PX', ARGV[2]) then
  return 0
end
local counts = {}
for at = 3, #ARGV do
  for _, id in ipairs(redis.call('ZRANGE', ARGV[1] .. 'jobs:state:' .. ARGV[at], 0, -1)) do
    local host = redis.call('HGET', ARGV[1] .. 'job:' .. id, 'host')
    if host then
      counts[host] = (counts[host] or 0) + 1
    end
  end
end
local wrong = 0
local kept = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
for at = 1, #kept, 2 do
  local host = kept[at]
  local count = counts[host]
  counts[host] = nil
  if tonumber(kept[at + 1]) ~= count then
    wrong = wrong + 1
    if count then
      redis.call('ZADD', KEYS[1], count, host)
    else
      redis.call('ZREM', KEYS[1], host)
    end
  end
end
for host, count in pairs(counts) do
  redis.call('ZADD', KEYS[1], count, host)
  wrong = wrong + 1
end
return wrong
