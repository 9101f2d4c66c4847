--[[
  Worker processes: who lives, what each says of itself, who is drained. All times are Redis' own.

  KEYS[1]  sorted set: worker -> when it last gave a sign (ms). Also the channel that tells a worker that there is something for it
           to ask after (`tell`). Beside it `:known`, the same with those that are lost; `:places`, a hash: worker -> jobs that it
           takes at once, 0 where it is drained; `:total`, the sum for a moment; `:of:NAME`, a hash of what is kept of one
  ARGV[1]  what is asked
  ARGV[2]  after so many ms without a sign one is lost; ten times as long, and nothing is kept of it
    tell     [3] name  [4] jobs that it takes at once  [5] what it says of itself, as JSON; '' for nothing
             [6] the drain that it obeys, '' for none  [7] 1: and nothing runs there any more
             Output: {places of all, its drain or '', now}
    leave    [3...] names: nothing is kept of them
    lose     [3...] names: they have died
    drain    [3] name  [4] 1: it hands over what it runs
    resume   [3] name
    get      [3] name
             Output of the three: {} where there is none, else its row
    all      Output: the rows of those with the newest signs, at most 5000
    count    Output: {how many live, how many jobs these take at once}
    lives    [3] name. Output: {'1'} where it does

  A row is name, last sign (ms), 1 while it lives, what it says of itself, drain or '', 1 when it rests.
  A drain is `SINCE|OVER`: microseconds, and 1 where it hands over. Whoever was away for so long that nothing is kept of it brings
  its own back.
]]
local WORKERS, asked, silence = KEYS[1], ARGV[1], tonumber(ARGV[2])
local KNOWN, PLACES, TOTAL = WORKERS .. ':known', WORKERS .. ':places', WORKERS .. ':total'
local MOST, TOTAL_MS = 5000, 2000
local kept = 10 * silence
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function digits(number)
  return string.format('%.0f', number)
end

local function record(name)
  return WORKERS .. ':of:' .. name
end

local function lives(name)
  local seen = redis.call('ZSCORE', WORKERS, name)
  return seen and tonumber(seen) >= now - silence
end

local function living()
  return redis.call('ZRANGEBYSCORE', WORKERS, digits(now - silence), '+inf')
end

local function bury(name)
  redis.call('ZREM', WORKERS, name)
  redis.call('HDEL', PLACES, name)
  redis.call('DEL', TOTAL)
end

local function forget_old()
  for _, name in ipairs(redis.call('ZRANGEBYSCORE', WORKERS, '-inf', digits(now - kept))) do
    bury(name)
  end
  redis.call('ZREMRANGEBYSCORE', KNOWN, '-inf', digits(now - kept))
end

-- Places of all that live; counted anew when somebody's changed, else now and then.
local function total(anew)
  local known = not anew and redis.call('GET', TOTAL)
  if known then return known end
  local places = 0
  for _, name in ipairs(living()) do
    places = places + tonumber(redis.call('HGET', PLACES, name) or '0')
  end
  -- A Redis without memory tells it all the same.
  redis.pcall('SET', TOTAL, digits(places), 'PX', TOTAL_MS)
  return digits(places)
end

local function keep_word(name, told, obeyed, rests)
  local of = record(name)
  if obeyed ~= '' and redis.call('EXISTS', of) == 0 then
    redis.call('HSET', of, 'drain', obeyed)
  end
  redis.call('HSET', of, 'told', told, 'obeyed', obeyed, 'rests', rests)
  redis.call('PEXPIRE', of, kept)
  redis.call('ZADD', KNOWN, now, name)
  redis.call('PEXPIRE', KNOWN, kept)
end

local function tell(name, places, told, obeyed, rests)
  forget_old()
  if told ~= '' then keep_word(name, told, obeyed, rests) end
  local drain = redis.call('HGET', record(name), 'drain') or ''
  local takes = drain == '' and places or '0'
  local before = redis.call('HGET', PLACES, name)
  redis.call('ZADD', WORKERS, now, name)
  redis.call('HSET', PLACES, name, takes)
  redis.call('PEXPIRE', WORKERS, kept)
  redis.call('PEXPIRE', PLACES, kept)
  return { total(before ~= takes), drain, digits(now) }
end

local function row(name, seen, alive)
  local told, drain, obeyed, rests = unpack(redis.call('HMGET', record(name), 'told', 'drain', 'obeyed', 'rests'))
  if not told then return {} end
  local resting = drain and obeyed == drain and rests == '1'
  return { name, seen, alive and '1' or '0', told, drain or '', resting and '1' or '0' }
end

local function get(name)
  local seen = redis.call('ZSCORE', KNOWN, name)
  return seen and tonumber(seen) > now - kept and row(name, seen, lives(name)) or {}
end

local function drain(name, over)
  local before = redis.call('HGET', record(name), 'drain')
  local since = before and string.match(before, '^%d+') or digits(tonumber(time[1]) * 1000000 + tonumber(time[2]))
  local hands = (over == '1' or before and string.sub(before, -1) == '1') and '1' or '0'
  redis.call('HSET', record(name), 'drain', since .. '|' .. hands)
  if redis.call('HEXISTS', PLACES, name) == 1 then redis.call('HSET', PLACES, name, '0') end
end

local function command(name)
  if #get(name) == 0 then return {} end
  if asked == 'drain' then drain(name, ARGV[4]) else redis.call('HDEL', record(name), 'drain') end
  redis.call('DEL', TOTAL)
  redis.call('PUBLISH', WORKERS, name)
  return get(name)
end

local function all()
  local rows, alive = {}, {}
  for _, name in ipairs(living()) do
    alive[name] = true
  end
  local found = redis.call('ZREVRANGEBYSCORE', KNOWN, '+inf', '(' .. digits(now - kept), 'WITHSCORES', 'LIMIT', 0, MOST)
  for at = 1, #found, 2 do
    for _, word in ipairs(row(found[at], found[at + 1], alive[found[at]])) do
      rows[#rows + 1] = word
    end
  end
  return rows
end

local function names(go)
  for at = 3, #ARGV do
    go(ARGV[at])
  end
  return {}
end

if asked == 'tell' then return tell(unpack(ARGV, 3)) end
if asked == 'drain' or asked == 'resume' then return command(ARGV[3]) end
if asked == 'get' then return get(ARGV[3]) end
if asked == 'all' then return all() end
if asked == 'lives' then return lives(ARGV[3]) and { '1' } or {} end
if asked == 'lose' then return names(bury) end
if asked == 'leave' then
  return names(function(name)
    bury(name)
    redis.call('ZREM', KNOWN, name)
    redis.call('DEL', record(name))
  end)
end
return { digits(redis.call('ZCOUNT', WORKERS, digits(now - silence), '+inf')), total() }
