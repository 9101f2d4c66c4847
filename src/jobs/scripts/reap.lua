--[[
  Ends a job that is being canceled and whose worker is gone.

  KEYS[1]  record
  ARGV[5]  a worker that has said nothing since this time (ms) is gone

  Output: {'kept'} | {'reaped'}
]]
if field('state') ~= 'canceling' then
  return { 'kept' }
end
local worker = field('worker')
local seen = worker and redis.call('ZSCORE', PREFIX .. 'workers', worker)
if seen and tonumber(seen) >= tonumber(ARGV[5]) then
  return { 'kept' }
end
redis.call('HINCRBY', JOB, 'epoch', 1)
enter(NEXT.canceling.stop)
return { 'reaped' }
