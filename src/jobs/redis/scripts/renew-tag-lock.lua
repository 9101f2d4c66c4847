--[[
  Keeps a lock that is still ours.

  KEYS[1]  lock
  ARGV[1]  token
  ARGV[2]  ms to live

  Output: 1 kept, 0 lost
]]
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
