--[[
  What the queues of hosts hold, by BullMQ's internal keys: `wait`, `delayed`, `active`, and in `meta` the most that may be active,
  and whether the queue is paused.

  KEYS[1]  any key with the hash tag of all
  ARGV[1]  BullMQ's prefix
  ARGV[2]  score up to which a delayed job is due
  ARGV[3]  and on: names of queues

  Output: for each queue how many of its jobs may be taken now, and how many are active
]]
local found = {}
for at = 3, #ARGV do
  local queue = ARGV[1] .. ':' .. ARGV[at]
  local active = redis.call('LLEN', queue .. ':active')
  local waiting = redis.call('LLEN', queue .. ':wait') + redis.call('ZCOUNT', queue .. ':delayed', '-inf', ARGV[2])
  local meta = redis.call('HMGET', queue .. ':meta', 'concurrency', 'paused')
  local most = meta[2] and 0 or tonumber(meta[1] or waiting + active)
  found[#found + 1] = math.max(0, math.min(waiting, most - active))
  found[#found + 1] = active
end
return found
