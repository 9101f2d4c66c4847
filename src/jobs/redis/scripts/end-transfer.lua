--[[
  Lets go of the claim on a transfer that is still ours.

  KEYS[1]  claim
  ARGV[1]  token
  ARGV[2]  seconds to remember that the blob is there; 0: it is not

  Output: 1 let go, 0 it was not ours
]]
if redis.call('HGET', KEYS[1], 'token') ~= ARGV[1] then
  return 0
end
redis.call('DEL', KEYS[1])
if tonumber(ARGV[2]) > 0 then
  redis.call('HSET', KEYS[1], 'done', 1)
  redis.call('EXPIRE', KEYS[1], ARGV[2])
end
return 1
