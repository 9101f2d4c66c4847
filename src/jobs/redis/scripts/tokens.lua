--[[
  Tokens that layerd issued, by their public ids. Field '' is another with each change. Beside it lie, as hashes by id too, `:used`, when each was
  used last, and `:ended`, what those had that were taken away.

  KEYS[1]  hash of tokens. Also the channel that tells which were taken away
  ARGV[1]  add | remove | use
  ARGV[2]  id
  ARGV[3]  the token, or what is left of one that is taken away, as JSON; of a use its time, RFC 3339
  ARGV[4]  add: the version that was seen, '' for none
  ARGV[5]  add, remove: a version that no change had before
  ARGV[6]  add: most tokens
  ARGV[7...]  add: tokens that are forgotten; remove: ended ones that are

  Output: 1 done | 0 not the version that was seen, or no such token | -1 there are too many
]]
local asked, id, text = ARGV[1], ARGV[2], ARGV[3]
local used, ended = KEYS[1] .. ':used', KEYS[1] .. ':ended'

if asked == 'use' then
  if redis.call('HEXISTS', KEYS[1], id) == 0 then
    return 0
  end
  if text > (redis.call('HGET', used, id) or '') then
    redis.call('HSET', used, id, text)
  end
  return 1
end

if asked == 'add' then
  if (redis.call('HGET', KEYS[1], '') or '') ~= ARGV[4] then
    return 0
  end
  for at = 7, #ARGV do
    redis.call('HDEL', KEYS[1], ARGV[at])
    redis.call('HDEL', used, ARGV[at])
  end
  -- The version is a field too.
  if redis.call('HLEN', KEYS[1]) - redis.call('HEXISTS', KEYS[1], '') >= tonumber(ARGV[6]) then
    return -1
  end
  redis.call('HSET', KEYS[1], id, text, '', ARGV[5])
  return 1
end

-- A Redis without memory takes it away all the same, and remembers nothing of it.
if redis.call('HDEL', KEYS[1], id) == 0 then
  return 0
end
redis.call('HDEL', used, id)
redis.call('PUBLISH', KEYS[1], id)
for at = 7, #ARGV do
  redis.call('HDEL', ended, ARGV[at])
end
redis.pcall('HSET', KEYS[1], '', ARGV[5])
redis.pcall('HSET', ended, id, text)
return 1
