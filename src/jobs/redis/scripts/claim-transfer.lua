--[[
  Takes the claim on a blob's transfer, or looks who has it.

  KEYS[1]  claim
  ARGV[1]  token; '' only looks
  ARGV[2]  job of the caller
  ARGV[3]  epoch of its run
  ARGV[4]  ms to live
  ARGV[5]  '1': a mark of a finished transfer counts as nothing
  ARGV[6]  prefix of a job's record

  Output: -1 free, and taken unless the call only looked | -2 finished a short while ago | bytes that its holder has moved
]]
local token, job, epoch = ARGV[1], ARGV[2], ARGV[3]
local claim = redis.call('HMGET', KEYS[1], 'token', 'job', 'epoch', 'offset', 'done')

-- A run that another one has replaced, or whose job has ended, moves nothing any more. A record that is not there says
-- nothing; the claim then ends by itself.
local function alive()
  if claim[2] == job and tonumber(claim[3]) <= tonumber(epoch) then
    return false
  end
  local record = redis.call('HMGET', ARGV[6] .. claim[2], 'state', 'epoch')
  return not record[1] or (record[2] == claim[3] and (record[1] == 'running' or record[1] == 'canceling'))
end

if claim[1] and claim[1] ~= token and alive() then
  redis.call('HSET', KEYS[1], 'watchedAt', redis.call('TIME')[1])
  return tonumber(claim[4])
end
if claim[5] and ARGV[5] ~= '1' then
  return -2
end
if token ~= '' then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'token', token, 'job', job, 'epoch', epoch, 'offset', 0)
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return -1
