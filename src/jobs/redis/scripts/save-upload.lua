--[[
  Saves an upload session, unless a later run of the same job owns it.

  KEYS[1]  checkpoint
  ARGV[1]  job id
  ARGV[2]  epoch
  ARGV[3]  sealed session
  ARGV[4]  seconds to keep it
  ARGV[5]  set of the job's checkpoints
  ARGV[6]  hash of the sessions that its runs noted
  ARGV[7]  id of the note of this very session, which is covered now; '' without one

  Output: 1 done, 0 refused
]]
local owner = redis.call('HMGET', KEYS[1], 'job', 'epoch')
if owner[1] == ARGV[1] and tonumber(owner[2]) > tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', KEYS[1], 'job', ARGV[1], 'epoch', ARGV[2], 'upload', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('SADD', ARGV[5], KEYS[1])
redis.call('EXPIRE', ARGV[5], ARGV[4])
if ARGV[7] ~= '' then
  redis.call('HDEL', ARGV[6], ARGV[2] .. ':' .. ARGV[7])
end
return 1
