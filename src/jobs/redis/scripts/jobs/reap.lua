--[[
  Ends the run of a job that is to be canceled or paused and whose worker is gone.

  KEYS[1]  record
  ARGV[5]  a worker that has given no sign for so long (ms, by Redis' clock, as workers.lua has it) is gone

  Output: {'kept'} | {'reaped'}
]]
local state = field('state')
if state ~= 'canceling' and not pausing() then
  return { 'kept' }
end
local worker = field('worker')
local seen = worker and redis.call('ZSCORE', PREFIX .. 'workers', worker)
local time = redis.call('TIME')
if seen and tonumber(seen) >= tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000 - tonumber(ARGV[5]) then
  return { 'kept' }
end
redis.call('HINCRBY', JOB, 'epoch', 1)
if state == 'running' then
  redis.call('HSET', JOB, 'reason', field('pausing'))
  enter(NEXT.running.hold)
else
  redis.call('HSET', JOB, 'reason', cancel_reason())
  enter(NEXT.canceling.stop)
end
return { 'reaped' }
