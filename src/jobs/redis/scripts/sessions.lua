--[[
  Log-ins of browsers. Each is a hash, found by the hash of its secret; its id stands in two sorted sets, of all and of its owner, by
  the time of its end as things are.

  KEYS[1]  the sorted set of all. Also the channel that tells which were taken away
  ARGV[1]  what is asked, with
    add      [5] owner  [6] the session as JSON  [7] its last end, ms since 1970  [8] most of an owner  [9] most of all
             Output: nothing
    use      [5] ms after which a use is written down
             Output: the session as JSON; nothing where it has ended
    look     Output: the same
    remove   Output: the session as JSON where there was one
  ARGV[2]  id
  ARGV[3]  ms since 1970
  ARGV[4]  ms without a use that end it
]]
local asked, id, now, idle = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local function keyOf(session)
  return KEYS[1] .. ':' .. session
end

local function ofOwner(owner)
  return KEYS[1] .. ':of:' .. owner
end

local function take(session)
  local owner, text = unpack(redis.call('HMGET', keyOf(session), 'owner', 'session'))
  redis.call('DEL', keyOf(session))
  redis.call('ZREM', KEYS[1], session)
  if not owner then return {} end
  redis.call('ZREM', ofOwner(owner), session)
  redis.call('PUBLISH', KEYS[1], session)
  return { text }
end

local function makeRoom(set, most)
  redis.call('ZREMRANGEBYSCORE', set, '-inf', now)
  while redis.call('ZCARD', set) >= most do
    local oldest = redis.call('ZRANGE', set, 0, 0)[1]
    redis.call('ZREM', set, oldest)
    take(oldest)
  end
end

local function add()
  local owner, text, last = ARGV[5], ARGV[6], tonumber(ARGV[7])
  makeRoom(ofOwner(owner), tonumber(ARGV[8]))
  makeRoom(KEYS[1], tonumber(ARGV[9]))
  local ends = math.min(now + idle, last)
  redis.call('HSET', keyOf(id), 'owner', owner, 'session', text, 'last', last, 'used', now)
  redis.call('PEXPIRE', keyOf(id), math.max(1, ends - now))
  redis.call('ZADD', KEYS[1], ends, id)
  redis.call('ZADD', ofOwner(owner), ends, id)
  -- No other of its owner's lasts longer than the newest may.
  redis.call('PEXPIRE', ofOwner(owner), math.max(1, last - now, redis.call('PTTL', ofOwner(owner))))
  return {}
end

local function look()
  local owner, text, last, used = unpack(redis.call('HMGET', keyOf(id), 'owner', 'session', 'last', 'used'))
  if not owner then return {} end
  last, used = tonumber(last), tonumber(used)
  if math.min(used + idle, last) <= now then
    take(id)
    return {}
  end
  -- A Redis without memory lets in who could make some.
  if asked == 'use' and now - used >= tonumber(ARGV[5]) and type(redis.pcall('HSET', keyOf(id), 'used', now)) == 'number' then
    local ends = math.min(now + idle, last)
    redis.call('PEXPIRE', keyOf(id), math.max(1, ends - now))
    redis.pcall('ZADD', KEYS[1], 'XX', ends, id)
    redis.pcall('ZADD', ofOwner(owner), 'XX', ends, id)
  end
  return { text }
end

if asked == 'add' then return add() end
return asked == 'remove' and take(id) or look()
