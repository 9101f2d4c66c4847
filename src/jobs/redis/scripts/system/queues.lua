--[[
  What there is of the queues of hosts, counted by what the scripts about jobs keep: the same work however many jobs wait. Behind
  queue-state.lua.

  KEYS[1]  hosts with jobs that have not ended, or with a queue that is paused
  ARGV[1]  key prefix
  ARGV[2]  and on: each host, and its name in requests

  Output: for each host 1 or 0: whether it is one of these; what is kept of its pause, '' for none; jobs at once by what is
          kept of the registry, and of others, '' for none; jobs queued, running, retrying, paused, canceling; how long the oldest
          of those queued has waited in ms, '' for none; runs that ended their job lately, ms in which they did; 1 or 0: whether
          it was told to go easy on
]]
-- As moves.lua keeps them.
local ENDED_MINUTES = 5

local now = now_ms()
local minute = math.floor(now / 60000)

local function ended(key)
  local minutes, sum = {}, 0
  for at = minute - ENDED_MINUTES + 1, minute do
    minutes[#minutes + 1] = at
  end
  for _, count in ipairs(redis.call('HMGET', key, unpack(minutes))) do
    sum = sum + tonumber(count or 0)
  end
  return sum
end

local others = redis.call('HGET', QUEUE_JOBS, '') or ''
local found = {}
local function tell(value)
  found[#found + 1] = tostring(value)
end
for at = 2, #ARGV, 2 do
  tell(redis.call('ZSCORE', KEYS[1], ARGV[at]) and 1 or 0)
  tell(redis.call('HGET', PAUSED_QUEUES, ARGV[at]) or '')
  tell(own_jobs_limit(ARGV[at]) or '')
  tell(others)
  for _, state in ipairs(OPEN) do
    tell(redis.call('ZCARD', queue_key(ARGV[at], state)))
  end
  local since = redis.call('ZRANGE', queue_key(ARGV[at], 'queued'), 0, 0, 'WITHSCORES')[2]
  tell(since and math.max(0, now - tonumber(since)) or '')
  tell(ended(queue_key(ARGV[at], 'ended')))
  tell((ENDED_MINUTES - 1) * 60000 + now % 60000)
  tell(redis.call('EXISTS', PREFIX .. 'limits:' .. ARGV[at + 1]))
end
return found
