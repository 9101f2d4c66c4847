--[[
  A repository was looked into, and waits no more, unless it changed again meanwhile.

  KEYS[1]  sorted set of repositories that wait
  ARGV[1]  repository
  ARGV[2]  the score with which it waited

  Output: 1 it waits no more, 0 it does
]]
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
if score and tonumber(score) == tonumber(ARGV[2]) then
  return redis.call('ZREM', KEYS[1], ARGV[1])
end
return 0
