--[[
  A worker says how many jobs of one registry may run at once where nothing is kept for that: the least of what those say that live
  holds, whoever said it last. And what BullMQ goes by is set right, should it have been lost. Behind queue-state.lua.

  KEYS[1]  hosts with jobs in the workers' hands
  ARGV[1]  key prefix
  ARGV[2]  worker, '' for nobody
  ARGV[3]  what it says
  ARGV[4]  a worker that has given no sign for so many ms is gone
  ARGV[5]  queues are not set right more often than once in so many ms, unless there is news

  Output: how many were set right
]]
local SAID = QUEUE_JOBS .. ':said'
local now = now_ms()

local function lives(worker)
  local seen = redis.call('ZSCORE', PREFIX .. 'workers', worker)
  return seen and tonumber(seen) >= now - tonumber(ARGV[4])
end

redis.call('HSET', SAID, ARGV[2], ARGV[3])
local least = tonumber(ARGV[3])
local said = redis.call('HGETALL', SAID)
for at = 1, #said, 2 do
  if said[at] ~= ARGV[2] and not lives(said[at]) then
    redis.call('HDEL', SAID, said[at])
  else
    least = math.min(least, tonumber(said[at + 1]))
  end
end
local is_news = redis.call('HGET', QUEUE_JOBS, '') ~= tostring(least)
redis.call('HSET', QUEUE_JOBS, '', least)
if not redis.call('SET', QUEUE_JOBS .. ':settled', 1, 'NX', 'PX', ARGV[5]) and not is_news then
  return 0
end
local right = 0
for _, host in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
  if apply_queue(host) then
    wake_queue(host)
    right = right + 1
  end
end
return right
