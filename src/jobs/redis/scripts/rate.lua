--[[
  Counts what is done in a window of time, which begins with the first of it.

  KEYS[1]  counter
  ARGV[1]  ms of the window
  ARGV[2]  most in it
  ARGV[3]  ms that the window grows to where it goes on beyond that: twice as long for each further so many; 0: it does not

  Output: count, ms until the window ends
]]
local window, max, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local current = redis.call('INCR', KEYS[1])
local ttl = redis.call('PTTL', KEYS[1])
if current == 1 or ttl < 0 then
  ttl = window
  redis.call('PEXPIRE', KEYS[1], ttl)
elseif current > max and most > window then
  ttl = math.min(window * 2 ^ math.min(math.floor((current - max - 1) / max), 30), most)
  redis.call('PEXPIRE', KEYS[1], ttl)
end
return {current, ttl}
