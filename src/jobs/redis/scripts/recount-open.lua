--[[
  Sets right how many open jobs each host and each principal has, and each principal at each host, which the scripts about a job
  keep.

  KEYS[1]  the hosts: jobs in the hands of the workers
  ARGV[1]  key prefix
  ARGV[2]  another recount within so many ms does nothing
  ARGV[3]  and on: the states of open jobs; those of paused ones count for their principal alone

  Output: how many of the counts were wrong
]]
if not redis.call('SET', KEYS[1] .. ':counted', 1, 'NX', 'PX', ARGV[2]) then
  return 0
end
local hosts, principals, held, holders = {}, {}, {}, {}
local function count(counts, name)
  if name then
    counts[name] = (counts[name] or 0) + 1
  end
end
for at = 3, #ARGV do
  for _, id in ipairs(redis.call('ZRANGE', ARGV[1] .. 'jobs:state:' .. ARGV[at], 0, -1)) do
    local of = redis.call('HMGET', ARGV[1] .. 'job:' .. id, 'host', 'principal')
    if ARGV[at] ~= 'paused' and of[1] then
      count(hosts, of[1])
      local pair = (of[2] or 'anonymous') .. ' ' .. of[1]
      if not held[pair] then
        count(holders, of[2] or 'anonymous')
      end
      count(held, pair)
    end
    count(principals, of[2])
  end
end

local function set_right(key, counts)
  local wrong = 0
  local kept = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES')
  for at = 1, #kept, 2 do
    local name = kept[at]
    local right = counts[name]
    counts[name] = nil
    if tonumber(kept[at + 1]) ~= right then
      wrong = wrong + 1
      if right then
        redis.call('ZADD', key, right, name)
      else
        redis.call('ZREM', key, name)
      end
    end
  end
  for name, right in pairs(counts) do
    redis.call('ZADD', key, right, name)
    wrong = wrong + 1
  end
  return wrong
end
return set_right(KEYS[1], hosts)
  + set_right(ARGV[1] .. 'jobs:principals', principals)
  + set_right(KEYS[1] .. ':held', held)
  + set_right(KEYS[1] .. ':holders', holders)
