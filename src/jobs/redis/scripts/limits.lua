--[[
  The account of what all processes together ask of one host. All times are by this Redis's clock; what goes in and out are spans.

  KEYS[1]  hash of the host; who holds places stands beside it
  ARGV[1]  what is asked, with
    turns    [2] requests a second that may be asked, 0: no limit  [3] requests that wait
             Output: requests, us until the first, us between them, and the pace
    bytes    [2] bytes a second  [3] bytes that wait
             Output: bytes, us until they may go
    places   [2] bodies at once  [3] process  [4] its bodies under way  [5] these and those that wait  [6] ms to live  [7] channel  [8] host
             Output: places of the process, its fair share
    refused  [2] status  [3] ms of pause  [4] 1: the first of its time  [5] requests a second that were let in, 0: unknown
             [6] process  [7] channel  [8] host
             Output: the pace
    pace     Output: the pace
    rate     Output: ms of pause, status, thousandths of requests a second that go out as far as was learnt (0: as many as are wanted)
  The pace: ms of pause, status, thousandths of requests a second that were refused (0: none), ms since (negative: until) they may go again
]]
-- So much is handed out at once, in ms of what may go: the others wait as long.
local REQUESTS_MS, BYTES_MS, LEAST_BYTES = 200, 250, 65536
-- As wire/pace/learned-rate.ts has them.
local FIRST, LOWEST, NO_LIMIT, GROWTH, FASTEST, SLOWEST, SAMPLE = 10, 0.2, 1000, 75000, 5000, 20000, 8
local KEPT_MS = 600000

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000

local function get(...)
  local found = redis.call('HMGET', KEYS[1], ...)
  for i = 1, #found do found[i] = tonumber(found[i] or '') or 0 end
  return unpack(found)
end

local function set(...)
  local fields = { ... }
  for i = 2, #fields, 2 do fields[i] = string.format('%.3f', fields[i]) end
  redis.call('HSET', KEYS[1], unpack(fields))
end

local function keep(ms)
  redis.call('PEXPIRE', KEYS[1], math.ceil(KEPT_MS + math.max(0, ms)))
end

-- Undefined once it has grown so far that it limits nothing.
local function learnt()
  local ceiling, from = get('ceiling', 'from')
  if ceiling == 0 then return nil end
  local whole = math.min(SLOWEST, math.max(FASTEST, GROWTH / ceiling))
  local rate = ceiling * (1 + ((math.max(0, now - from) - whole) / whole) ^ 3 / 2)
  if rate <= NO_LIMIT then return rate end
  redis.call('HDEL', KEYS[1], 'ceiling', 'from')
  return nil
end

local function pace()
  local pause, status, ceiling, from = get('pause', 'status', 'ceiling', 'from')
  return math.ceil(math.max(0, pause - now)), status, math.ceil(ceiling * 1000), math.floor(now - from)
end

local function count(turns)
  local second = math.floor(now / 1000)
  local at, this, last = get('second', 'this', 'last')
  if at ~= second then
    last = at == second - 1 and this or 0
    this = 0
  end
  set('second', second, 'this', this + turns, 'last', last)
end

-- Requests a second that were handed out lately.
local function handed()
  local second = math.floor(now / 1000)
  local at, this, last = get('second', 'this', 'last')
  if at == second - 1 then this, last = 0, this end
  if at < second - 1 or this + last < SAMPLE then return nil end
  return (this + last) * 1000 / (last > 0 and 1000 + now % 1000 or 1000)
end

local function turns()
  local limit, wanted = tonumber(ARGV[2]), tonumber(ARGV[3])
  local rate = math.min(limit > 0 and limit or math.huge, learnt() or math.huge)
  if rate == math.huge then return { wanted, 0, 0, pace() } end
  local given = math.max(1, math.min(wanted, math.floor(rate * REQUESTS_MS / 1000)))
  local at, pause = get('at', 'pause')
  local from = math.max(at, pause, now)
  set('at', from + given * 1000 / rate)
  count(given)
  keep(from - now)
  return { given, math.ceil((from - now) * 1000), math.ceil(1000000 / rate), pace() }
end

local function bytes()
  local rate, wanted = tonumber(ARGV[2]), tonumber(ARGV[3])
  local given = math.min(wanted, math.max(LEAST_BYTES, math.floor(rate * BYTES_MS / 1000)))
  local from = math.max(get('bytesAt'), now)
  set('bytesAt', from + given * 1000 / rate)
  keep(from - now)
  return { given, math.ceil((from - now) * 1000) }
end

local function places()
  local key, limit, who, used, wanted = KEYS[1] .. ':places', tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
  local others, mine = {}, { held = 0, wanted = 0, since = now }
  local all = redis.call('HGETALL', key)
  for i = 1, #all, 2 do
    local held, want, ends, since = string.match(all[i + 1], '^(%d+) (%d+) (%S+) (%S+)$')
    local one = { held = tonumber(held), wanted = tonumber(want), since = tonumber(since) }
    if tonumber(ends) <= now then
      redis.call('HDEL', key, all[i])
    elseif all[i] == who then
      mine = one
    else
      others[#others + 1] = one
    end
  end
  -- Who wants more than it has waits since then; with each place that it gets or gives back it goes to the end of that line.
  if mine.held >= mine.wanted or used < mine.held then mine.since = now end
  local fair = math.ceil(limit / (#others + 1))
  local free, contested = limit, false
  for _, one in ipairs(others) do
    local waits = one.held < one.wanted
    contested = contested or waits
    local before = waits and one.since < mine.since
    free = free - math.max(one.held, before and math.min(one.wanted, fair) or 0)
  end
  local held = math.max(used, math.min(wanted, free, contested and fair or limit))
  if held > mine.held then mine.since = now end
  if wanted == 0 then
    redis.call('HDEL', key, who)
  else
    redis.call('HSET', key, who, string.format('%d %d %.3f %.3f', held, wanted, now + tonumber(ARGV[6]), mine.since))
    redis.call('PEXPIRE', key, tonumber(ARGV[6]) * 2)
  end
  if contested and held < mine.held then redis.call('PUBLISH', ARGV[7], 'freed|' .. who .. '|' .. ARGV[8]) end
  return { held, fair }
end

local function refused()
  local status, pauseMs, first, measured = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1', tonumber(ARGV[5])
  local before, ending = get('pause'), now + pauseMs
  -- Somebody else was refused first, and what was under way then teaches nothing new.
  first = first and now >= before
  if first then
    local rate = learnt()
    if status == 429 then
      local known = handed() or (measured > 0 and measured or nil) or rate or FIRST
      set('ceiling', math.max(LOWEST, math.min(rate or math.huge, known)), 'from', ending)
    elseif not rate then
      set('ceiling', FIRST, 'from', ending)
    end
  end
  if ending > before then
    set('pause', ending, 'status', status, 'at', ending)
    keep(pauseMs)
  end
  if first or ending > before then
    local told = { pace() }
    redis.call('PUBLISH', ARGV[7], table.concat({ 'paused', ARGV[6], ARGV[8], unpack(told) }, '|'))
  end
  return { pace() }
end

local function rate()
  local pause, status = pace()
  return { pause, status, math.floor((learnt() or 0) * 1000) }
end

local asked = {
  turns = turns,
  bytes = bytes,
  places = places,
  refused = refused,
  pace = function() return { pace() } end,
  rate = rate,
}
return asked[ARGV[1]]()
