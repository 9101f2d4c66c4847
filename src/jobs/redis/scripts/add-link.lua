--[[
  Keeps a link until it expires, where its owner has not too many.

  KEYS[1]  sorted set of the owner's links, by their ends
  ARGV[1]  key of the link
  ARGV[2]  what is kept of it
  ARGV[3]  now, ms since 1970
  ARGV[4]  when it ends
  ARGV[5]  most of one owner

  Output: 0 kept | ms until the first of the others ends
]]
local now, ends = tonumber(ARGV[3]), tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[5]) then
  local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  return math.max(1, tonumber(first[2]) - now)
end
local ms = math.max(1, ends - now)
redis.call('SET', ARGV[1], ARGV[2], 'PX', ms)
redis.call('ZADD', KEYS[1], ends, ARGV[1])
if redis.call('PTTL', KEYS[1]) < ms then redis.call('PEXPIRE', KEYS[1], ms) end
return 0
