--[[
  Keeps the claim on a transfer and tells how far it is. One that Redis has lost or let run out is taken again.

  KEYS[1]  claim
  ARGV[1]  token
  ARGV[2]  job
  ARGV[3]  epoch
  ARGV[4]  ms to live
  ARGV[5]  bytes moved

  Output: 0 another run has it | 1 kept | 2 kept, and somebody waits
]]
local claim = redis.call('HMGET', KEYS[1], 'token', 'watchedAt', 'done')
if claim[3] or (claim[1] and claim[1] ~= ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'token', ARGV[1], 'job', ARGV[2], 'epoch', ARGV[3], 'offset', ARGV[5])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
-- Who waits looks several times a second.
local now = tonumber(redis.call('TIME')[1])
return claim[2] and now - tonumber(claim[2]) <= 3 and 2 or 1
