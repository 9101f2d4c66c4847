--[[
  Pauses the queue of a host, or lets it go on, in every process at once. Behind queue-state.lua.

  KEYS[1]  hosts with jobs in the workers' hands
  ARGV[1]  key prefix
  ARGV[2]  pause, or resume
  ARGV[3]  host
  ARGV[4]  who asks, as JSON
  ARGV[5]  why, as JSON
  ARGV[6]  most queues that may be paused

  Output: done | same: it was so before | full: there are as many as may be
]]
local what, host = ARGV[2], ARGV[3]
local is_open = redis.call('ZSCORE', KEYS[1], host)
if is_queue_paused(host) == (what == 'pause') then
  return { 'same' }
end
if what == 'pause' then
  if redis.call('HLEN', PAUSED_QUEUES) >= tonumber(ARGV[6]) then
    return { 'full' }
  end
  redis.call('HSET', PAUSED_QUEUES, host, '{"by":' .. ARGV[4] .. ',"sinceMs":' .. string.format('%.0f', now_ms()) .. ',"reason":' .. ARGV[5] .. '}')
  redis.call('ZADD', QUEUES, 0, host)
else
  redis.call('HDEL', PAUSED_QUEUES, host)
  leave_queue(host)
end
if is_open then
  apply_queue(host)
  if what == 'resume' then
    wake_queue(host)
  end
end
return { 'done' }
