--[[
  Takes the lock of a job that BullMQ counts as active from a worker that is lost, unless the job has been taken since.

  KEYS[1]  BullMQ's job
  ARGV[1]  its id
  ARGV[2]  the worker that is lost
  ARGV[3]  its token, '' when the lock is gone already
  ARGV[4]  prefix of the queue's keys

  Output: 1 freed, 0 somebody has it now
]]
local lock = KEYS[1] .. ':lock'
if redis.call('HGET', KEYS[1], 'pb') ~= ARGV[2] or (redis.call('GET', lock) or '') ~= ARGV[3] then
  return 0
end
redis.call('DEL', lock, ARGV[4] .. ':stalled-check')
redis.call('SADD', ARGV[4] .. ':stalled', ARGV[1])
return 1
