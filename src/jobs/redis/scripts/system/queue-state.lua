--[[
  In front of every script that has to do with the queue of a host, behind a PREFIX.

  Which queues are paused is kept beside their jobs, and is the truth. BullMQ's own flag, `paused` in the meta of the queue, is set by
  it while the host has jobs in the workers' hands: BullMQ then hands out none of them to anybody. What BullMQ keeps of a queue goes
  a day after the host's last job, and a host without any may be paused too. So it is with how many jobs run at once, BullMQ's
  `concurrency`: what is kept of the registry says so, else the field ''.
]]
-- The hosts with jobs that have not ended, or with a queue that is paused.
local QUEUES = PREFIX .. 'queues'
-- Hash: host -> by whom, since when, and why, as JSON.
local PAUSED_QUEUES = PREFIX .. 'queues:paused'
-- Hash: host -> jobs at once, from what is kept of the registry; field '': of all others.
local QUEUE_JOBS = PREFIX .. 'queues:jobs'
-- States in which a job has not ended, and so is in a set of its host.
local OPEN = { 'queued', 'running', 'retrying', 'paused', 'canceling' }
-- What BullMQ scores a delayed job with is its time (ms) times this (wake-consumers.ts).
local DELAY_UNIT = 0x1000

-- By this Redis's clock.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function bull_key(host, name)
  -- As encodeURIComponent does (keys.ts, queueName).
  local queue = string.gsub(host, '[:%[%]]', { [':'] = '%3A', ['['] = '%5B', [']'] = '%5D' })
  return PREFIX .. 'bull:' .. queue .. ':' .. name
end

-- Jobs of the host in that state, each since when by this Redis's clock, in ms.
local function queue_key(host, state)
  return PREFIX .. 'queue:' .. host .. ':' .. state
end

local function is_queue_paused(host)
  return redis.call('HEXISTS', PAUSED_QUEUES, host) == 1
end

local function leave_queue(host)
  local sets = {}
  for at, state in ipairs(OPEN) do
    sets[at] = queue_key(host, state)
  end
  if redis.call('EXISTS', unpack(sets)) == 0 and not is_queue_paused(host) then
    redis.call('ZREM', QUEUES, host)
  end
end

-- What is kept of a registry counts for it with and without the port of its scheme, as limits of its requests do.
local function own_jobs_limit(host)
  local found = redis.call('HMGET', QUEUE_JOBS, host, host .. ':443', host .. ':80')
  return found[1] or found[2] or found[3]
end

-- Has BullMQ do what is kept; true where it did something else.
local function apply_queue(host)
  local meta = bull_key(host, 'meta')
  local before = redis.call('HMGET', meta, 'paused', 'concurrency')
  local paused = is_queue_paused(host)
  if paused and not before[1] then
    redis.call('HSET', meta, 'paused', 1)
    -- Consumers that block for it need not look.
    redis.call('DEL', bull_key(host, 'marker'))
  elseif before[1] and not paused then
    redis.call('HDEL', meta, 'paused')
  end
  local most = own_jobs_limit(host) or redis.call('HGET', QUEUE_JOBS, '')
  if most and most ~= before[2] then
    redis.call('HSET', meta, 'concurrency', most)
  end
  return paused ~= (before[1] ~= false) or (most and most ~= before[2])
end

-- Wakes who takes jobs, in every process, as BullMQ does at the end of a pause; processes that do not listen to the host begin to.
local function wake_queue(host)
  if is_queue_paused(host) then
    return
  end
  local delayed = bull_key(host, 'delayed')
  local due = redis.call('ZCOUNT', delayed, '-inf', (now_ms() + 1) * DELAY_UNIT)
  local next = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')[2]
  if redis.call('LLEN', bull_key(host, 'wait')) + due > 0 then
    redis.call('ZADD', bull_key(host, 'marker'), 0, '0')
  elseif next then
    redis.call('ZADD', bull_key(host, 'marker'), next / DELAY_UNIT, '1')
  end
  redis.call('PUBLISH', PREFIX .. 'hosts', host)
end
