--[[
  Behind record.lua: what is open, of whom, and why no more is taken. The counts are kept by every change of a job, and
  set right by recount-open.lua.
]]
-- Sorted sets: who asked -> open jobs; who asked, a blank, host -> jobs in the workers' hands; who asked -> such hosts.
local PRINCIPALS = PREFIX .. 'jobs:principals'
local HELD = PREFIX .. 'hosts:held'
local HOLDERS = PREFIX .. 'hosts:holders'

-- Of the memory that Redis may use so much is for new jobs. At the limit itself writes of running jobs are refused, the
-- renewal of their locks among them, and they run twice.
local ADMITTED = 0.7
-- Where several have jobs, one has this part of all that may be open at most: of the jobs, and of the hosts.
local SHARE = 10
-- Who asks where no token is required. Nobody else can come there, so nothing is kept for others.
local EVERYBODY = 'anonymous'

local function share_of(most)
  return math.max(1, math.floor(most / SHARE))
end

-- Who is the first to come would else take all for as long as jobs last, and keep out whoever comes next.
local function alone_of(most)
  return math.max(1, most - share_of(most))
end

-- How many of a set of counted names are others than this one, and the count of this one.
local function beside(counts, name)
  local own = tonumber(redis.call('ZSCORE', counts, name) or 0)
  return redis.call('ZCARD', counts) - (own > 0 and 1 or 0), own
end

-- Whose limit was reached, and which, as the end of a refusal; nil where one more may be counted for this principal.
local function beyond(counts, principal, most)
  local others, own = beside(counts, principal)
  if others > 0 then
    return own >= share_of(most) and { 'own', tostring(own), tostring(share_of(most)) } or nil
  end
  if principal ~= EVERYBODY and own >= alone_of(most) then
    return { 'alone', tostring(own), tostring(alone_of(most)), tostring(most) }
  end
  return nil
end

-- The refusal of a job that would be one host too many, for all or for this one; nil when it is not.
local function crowded(principal, host, most)
  if redis.call('ZSCORE', HOSTS, host) then
    return nil
  end
  most = tonumber(most)
  local hosts = redis.call('ZCARD', HOSTS)
  if hosts >= most then
    return { 'crowded', 'all', tostring(hosts) }
  end
  local limit = beyond(HOLDERS, principal, most)
  return limit and { 'crowded', unpack(limit) }
end

-- Why no further job is taken, as the answer to it; nil where one is. `most`: jobs that may be open at once.
local function full(principal, most)
  -- Whoever may not ask has no limit here.
  local memory = redis.pcall('INFO', 'memory')
  local used, limit = 0, 0
  if type(memory) == 'string' then
    used = tonumber(string.match(memory, 'used_memory:(%d+)')) or 0
    limit = tonumber(string.match(memory, 'maxmemory:(%d+)')) or 0
  end
  if limit > 0 and used >= ADMITTED * limit then
    return { 'full', 'memory', tostring(used), tostring(limit) }
  end
  most = tonumber(most)
  local open = redis.call('ZCARD', PREFIX .. 'jobs') - redis.call('ZCARD', PREFIX .. 'jobs:done')
  if open >= most then
    return { 'full', 'jobs', tostring(open), tostring(most) }
  end
  local limit = beyond(PRINCIPALS, principal, most)
  return limit and { 'full', unpack(limit) }
end

-- Counts the open jobs of who asked for them.
local function count_open(by)
  redis.call('ZINCRBY', PRINCIPALS, by, field('principal') or 'anonymous')
  redis.call('ZREMRANGEBYSCORE', PRINCIPALS, '-inf', 0)
end

-- Counts the jobs that who asked for them has in the workers' hands, by host, and so the hosts that each has.
local function hold_host(host, by)
  local principal = field('principal') or 'anonymous'
  local held = principal .. ' ' .. host
  local before = tonumber(redis.call('ZSCORE', HELD, held) or 0)
  local after = math.max(0, before + by)
  if after > 0 then
    redis.call('ZADD', HELD, after, held)
  else
    redis.call('ZREM', HELD, held)
  end
  local hosts = (after > 0 and 1 or 0) - (before > 0 and 1 or 0)
  redis.call('ZINCRBY', HOLDERS, hosts, principal)
  redis.call('ZREMRANGEBYSCORE', HOLDERS, '-inf', 0)
end
