--[[
  Ends the run of a job that is to be canceled or paused, or whose queue is paused, and whose worker is gone.

  KEYS[1]  record
  ARGV[5]  a worker that has given no sign for so long (ms, by Redis' clock, as workers.lua has it) is gone

  Output: {'kept'} | {'reaped'}
]]
local state = field('state')
local held = state == 'running' and not pausing() and is_queue_paused(field('host'))
if state ~= 'canceling' and not pausing() and not held then
  return { 'kept' }
end
local worker = field('worker')
local seen = worker and redis.call('ZSCORE', PREFIX .. 'workers', worker)
local time = redis.call('TIME')
if seen and tonumber(seen) >= tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000 - tonumber(ARGV[5]) then
  return { 'kept' }
end
redis.call('HINCRBY', JOB, 'epoch', 1)
if held then
  -- Nobody takes it over before the queue goes on. What BullMQ still has of it is of an older round, and is dropped.
  log_line('warn', 'its worker is gone, and the queue of ' .. field('host') .. ' is paused')
  redis.call('HINCRBY', JOB, 'round', 1)
  redis.call('HSET', JOB, 'lostRuns', lost_runs(), 'reason', 'null')
  redis.call('HDEL', JOB, 'worker')
  lose_run(NEXT.running.release)
  expect_run('takeover')
  enter(NEXT.running.release)
  redis.call('ZADD', OUTBOX, NOW_MS, outbox_member())
elseif state == 'running' then
  lose_run(NEXT.running.hold)
  redis.call('HSET', JOB, 'reason', field('pausing'))
  enter(NEXT.running.hold)
else
  lose_run(NEXT.canceling.stop)
  redis.call('HSET', JOB, 'reason', cancel_reason())
  enter(NEXT.canceling.stop)
end
return { 'reaped' }
