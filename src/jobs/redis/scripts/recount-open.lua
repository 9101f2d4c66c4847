--[[
  Sets right how many open jobs each host and each principal has, and each principal at each host, and which jobs are in the queue
  of each host, which the scripts about a job keep.

  KEYS[1]  the hosts: jobs in the hands of the workers
  ARGV[1]  key prefix
  ARGV[2]  another recount within so many ms does nothing, unless jobs of older versions are in no queue yet
  ARGV[3]  and on: the states of open jobs; those of paused ones count for their principal, and in their queue, alone

  Output: how many of the counts were wrong
]]
local KNOWN = ARGV[1] .. 'queues:known'
if not redis.call('SET', KEYS[1] .. ':counted', 1, 'NX', 'PX', ARGV[2]) and redis.call('EXISTS', KNOWN) == 1 then
  return 0
end
local hosts, principals, held, holders = {}, {}, {}, {}
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Host, and in it state -> ids.
local queues = {}
local function place(host, state, id)
  queues[host] = queues[host] or {}
  queues[host][state] = queues[host][state] or {}
  queues[host][state][id] = true
end
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
    if of[1] then
      place(of[1], ARGV[at], id)
    end
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
-- One that is missing counts from now on; nobody knows since when it waits.
local function set_queue_right(host, state)
  local key, wrong = ARGV[1] .. 'queue:' .. host .. ':' .. state, 0
  local right = queues[host] and queues[host][state] or {}
  for _, id in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    if right[id] then
      right[id] = nil
    else
      redis.call('ZREM', key, id)
      wrong = wrong + 1
    end
  end
  for id in pairs(right) do
    redis.call('ZADD', key, now, id)
    wrong = wrong + 1
  end
  return wrong
end

local function set_queues_right()
  local key, wrong = ARGV[1] .. 'queues', 0
  for host in pairs(queues) do
    redis.call('ZADD', key, 0, host)
  end
  local paused = {}
  for _, host in ipairs(redis.call('HKEYS', key .. ':paused')) do
    paused[host] = true
    redis.call('ZADD', key, 0, host)
  end
  for _, host in ipairs(redis.call('ZRANGE', key, 0, -1)) do
    for at = 3, #ARGV do
      wrong = wrong + set_queue_right(host, ARGV[at])
    end
    if not queues[host] and not paused[host] then
      redis.call('ZREM', key, host)
    end
  end
  redis.call('SET', KNOWN, 1)
  return wrong
end

return set_queues_right()
  + set_right(KEYS[1], hosts)
  + set_right(ARGV[1] .. 'jobs:principals', principals)
  + set_right(KEYS[1] .. ':held', held)
  + set_right(KEYS[1] .. ':holders', holders)
