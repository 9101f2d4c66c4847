--[[
  In front of every script about a job, behind the table NEXT[state][transition] that state.ts holds.

  KEYS[1]  the job's record
  ARGV[1]  key prefix, hash tag included
  ARGV[2]  job id
  ARGV[3]  now as RFC 3339
  ARGV[4]  now in ms since the epoch

  The record's document fields are JSON fragments, and a job is rendered by joining them: cjson would turn [] into {} and
  round large numbers. Keys beside KEYS[1] are built here; they share its hash tag, hence its slot.
]]
local PREFIX, ID, NOW, NOW_MS = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local JOB = KEYS[1]
local EVENTS = JOB .. ':events'
local TRANSFERS = JOB .. ':transfers'
local ORDER = JOB .. ':transfers:order'
local UPLOADS = JOB .. ':uploads'
local NOTES = JOB .. ':sessions'
local LOG = JOB .. ':log'
local CREDENTIALS = PREFIX .. 'cred:' .. ID
local OUTBOX = PREFIX .. 'outbox'
local HOSTS = PREFIX .. 'hosts'
local PRINCIPALS = PREFIX .. 'jobs:principals'

-- About four minutes at the full rate of four events a second; who was away longer starts from a snapshot. A thousand
-- entries of one KB keep a job under 1 MB of Redis.
local EVENTS_KEPT = 1000
-- Bytes of a job's log, and of one message in it.
local LOG_KEPT = 1048576
local MESSAGE_KEPT = 4096
-- Events and transfers of an ended job, in seconds.
local TRACE_TTL = 86400
-- How long a worker has to give up the upload sessions of an ended job, with its credentials, in seconds.
local TIDY_TTL = 3600

local TERMINAL = { succeeded = true, failed = true, canceled = true }
-- States in which nobody is to take the job.
local AT_REST = { succeeded = true, failed = true, canceled = true, paused = true }

local function field(name)
  return redis.call('HGET', JOB, name)
end

local function count(name)
  return tonumber(field(name) or '0')
end

local function text(fragment)
  local value = fragment and cjson.decode(fragment)
  return type(value) == 'string' and value or nil
end

-- At most so many bytes, and no half of a character.
local function cut(message)
  if #message <= MESSAGE_KEPT then
    return message
  end
  local last = MESSAGE_KEPT
  while last > 0 and string.byte(message, last + 1) >= 128 and string.byte(message, last + 1) < 192 do
    last = last - 1
  end
  return string.sub(message, 1, last) .. '…'
end

-- A line of the job's log, which lives as long as the job; the oldest go when it gets too long.
local function log_line(level, message)
  local line = '{"time":"' .. NOW .. '","attempt":' .. field('attempt') .. ',"level":"' .. level .. '","message":'
    .. cjson.encode(cut(message)) .. '}'
  redis.call('XADD', LOG, '*', 'line', line)
  local kept = redis.call('HINCRBY', JOB, 'logBytes', #line)
  while kept > LOG_KEPT do
    local oldest = redis.call('XRANGE', LOG, '-', '+', 'COUNT', 1)[1]
    redis.call('XDEL', LOG, oldest[1])
    kept = redis.call('HINCRBY', JOB, 'logBytes', -#oldest[2][2])
  end
end

-- A word that somebody gave to the job.
local function log_command(what, by, reason)
  log_line('info', what .. ' by ' .. by .. (reason and reason ~= '' and ': ' .. reason or ''))
end

local LEVELS = { failed = 'error', retrying = 'warn' }

-- The state as a line: run, worker, reason, error and the next try, as far as they are there.
local function log_state(state)
  local parts = { state }
  if state == 'running' then
    parts = { 'run ' .. field('attempt') .. ' on ' .. (field('worker') or '?') }
  end
  local problem = cjson.decode(field('error'))
  local reason = text(field('reason'))
  if type(problem) == 'table' then
    parts[#parts + 1] = ': ' .. problem.detail .. ' (' .. problem.code .. ')' .. (problem.hint and '. ' .. problem.hint or '')
  elseif reason then
    parts[#parts + 1] = ': ' .. reason
  end
  local retry_at = state == 'retrying' and cjson.decode(field('progress')).retryAt
  if type(retry_at) == 'string' then
    parts[#parts + 1] = '; next try at ' .. retry_at
  end
  log_line(LEVELS[state] or 'info', table.concat(parts))
end

local function outbox_member()
  return ID .. '.' .. field('round')
end

local function render()
  local f = redis.call('HMGET', JOB, 'kind', 'source', 'destination', 'options', 'labels', 'state', 'reason', 'revision',
    'attempt', 'createdAt', 'startedAt', 'endedAt', 'progress', 'result', 'error', 'principal', 'requestId', 'traceparent')
  local trace = f[18] and f[18] ~= '' and cjson.encode(f[18]) or 'null'
  return '{"id":"' .. ID .. '","kind":' .. f[1] .. ',"source":' .. f[2] .. ',"destination":' .. f[3]
    .. ',"options":' .. f[4] .. ',"labels":' .. f[5] .. ',"principal":' .. cjson.encode(f[16] or 'anonymous')
    .. ',"requestId":' .. cjson.encode(f[17] or '') .. ',"traceparent":' .. trace .. ',"state":"' .. f[6] .. '","reason":' .. f[7]
    .. ',"done":' .. tostring(TERMINAL[f[6]] == true) .. ',"revision":' .. f[8] .. ',"attempt":' .. f[9]
    .. ',"createdAt":' .. f[10] .. ',"startedAt":' .. f[11] .. ',"endedAt":' .. f[12] .. ',"progress":' .. f[13]
    .. ',"result":' .. f[14] .. ',"error":' .. f[15] .. '}'
end

-- `body`: the event's own members as JSON, without braces.
local function emit(kind, body)
  local seq = redis.call('HINCRBY', JOB, 'seq', 1)
  local event = '{"type":"' .. kind .. '","jobId":"' .. ID .. '","seq":' .. seq .. ',"time":"' .. NOW
    .. '","attempt":' .. field('attempt') .. ',' .. body .. '}'
  local entry = redis.call('XADD', EVENTS, 'MAXLEN', '~', EVENTS_KEPT, '*', 'event', event)
  redis.call('HSET', JOB, 'lastEvent', entry)
  redis.call('PUBLISH', EVENTS, entry .. '|' .. event)
  if kind == 'log' or kind == 'warning' then
    local said = cjson.decode('{' .. body .. '}')
    log_line(said.level or 'warn', (said.code and said.code .. ': ' or '') .. said.message)
  end
end

-- The refusal of a job that would be one host too many; nil when it is not.
local function crowded(host, most)
  if redis.call('ZSCORE', HOSTS, host) then
    return nil
  end
  local hosts = redis.call('ZCARD', HOSTS)
  return hosts >= tonumber(most) and { 'crowded', tostring(hosts) } or nil
end

-- Of the memory that Redis may use so much is for new jobs. At the limit itself writes of running jobs are refused, the
-- renewal of their locks among them, and they run twice.
local ADMITTED = 0.7
-- Where several have jobs, one has this part of all that may be open at most.
local SHARE = 10

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
  local own = tonumber(redis.call('ZSCORE', PRINCIPALS, principal) or 0)
  local others = redis.call('ZCARD', PRINCIPALS) - (own > 0 and 1 or 0)
  local share = math.max(1, math.floor(most / SHARE))
  if others > 0 and own >= share then
    return { 'full', 'own', tostring(own), tostring(share) }
  end
  return nil
end

-- Counts the open jobs of who asked for them.
local function count_open(by)
  redis.call('ZINCRBY', PRINCIPALS, by, field('principal') or 'anonymous')
  redis.call('ZREMRANGEBYSCORE', PRINCIPALS, '-inf', 0)
end

-- What BullMQ keeps of a queue for ever goes with its host: else each host that ever had a job would stay in Redis.
local QUEUE_KEPT = 86400

local function queue_keys(host)
  -- As encodeURIComponent does (keys.ts, queueName).
  local name = string.gsub(host, '[:%[%]]', { [':'] = '%3A', ['['] = '%5B', [']'] = '%5D' })
  local queue = PREFIX .. 'bull:' .. name .. ':'
  return { queue .. 'meta', queue .. 'id', queue .. 'events', queue .. 'marker' }
end

-- Into the hands of the workers, and out of them.
local function open_job()
  local host = field('host')
  if tonumber(redis.call('ZINCRBY', HOSTS, 1, host)) == 1 then
    for _, key in ipairs(queue_keys(host)) do
      redis.call('PERSIST', key)
    end
    redis.call('PUBLISH', HOSTS, host)
  end
  redis.call('ZADD', OUTBOX, NOW_MS, outbox_member())
end

local function withdraw_job()
  local host = field('host')
  if tonumber(redis.call('ZINCRBY', HOSTS, -1, host)) <= 0 then
    redis.call('ZREM', HOSTS, host)
    for _, key in ipairs(queue_keys(host)) do
      redis.call('EXPIRE', key, QUEUE_KEPT)
    end
  end
  redis.call('ZREM', OUTBOX, outbox_member())
end

-- Another job may have gone on with an upload of this one.
local function drop_foreign_uploads()
  for _, upload in ipairs(redis.call('SMEMBERS', UPLOADS)) do
    if redis.call('HGET', upload, 'job') ~= ID then
      redis.call('SREM', UPLOADS, upload)
    end
  end
end

-- Some worker is to give up what upload sessions nobody of this job goes on with.
local function tidy_later()
  if redis.call('EXISTS', NOTES) == 1 then
    redis.call('ZADD', PREFIX .. 'tidy', NOW_MS, ID)
  end
end

local function close_job(to)
  count_open(-1)
  redis.call('ZADD', PREFIX .. 'jobs:done', NOW_MS, ID)
  drop_foreign_uploads()
  local left = redis.call('EXISTS', NOTES) == 1 or (to == 'canceled' and redis.call('EXISTS', UPLOADS) == 1)
  if left then
    redis.call('ZADD', PREFIX .. 'tidy', NOW_MS, ID)
    redis.call('EXPIRE', CREDENTIALS, TIDY_TTL)
  else
    redis.call('DEL', CREDENTIALS)
  end
  for _, key in ipairs({ EVENTS, TRANSFERS, ORDER }) do
    redis.call('EXPIRE', key, TRACE_TTL)
  end
end

-- Changes the state and tells it. Fields that the state shows are set before.
local function enter(to)
  local from = field('state')
  if from then
    redis.call('ZREM', PREFIX .. 'jobs:state:' .. from, ID)
  end
  redis.call('ZADD', PREFIX .. 'jobs:state:' .. to, 0, ID)
  if from and AT_REST[to] and not AT_REST[from] then
    withdraw_job()
  end
  if to ~= 'running' then
    redis.call('HDEL', JOB, 'pausing', 'pauseText')
  end
  redis.call('HSET', JOB, 'state', to, 'changedAt', NOW_MS)
  redis.call('HINCRBY', JOB, 'revision', 1)
  if TERMINAL[to] then
    redis.call('HSET', JOB, 'endedAt', '"' .. NOW .. '"')
  end
  log_state(to)
  local job = '"job":' .. render()
  emit('state', job)
  if TERMINAL[to] then
    emit('end', job)
    close_job(to)
  else
    tidy_later()
  end
end

-- Why a job was canceled, and what a retry will find done.
local function cancel_reason()
  local reason = field('cancelReason') or 'null'
  local done = cjson.decode(field('progress')).layers.done
  if done == 0 then
    return reason
  end
  local kept = done == 1 and '1 layer stays, and a retry skips it' or done .. ' layers stay, and a retry skips them'
  return reason == 'null' and '"' .. kept .. '"' or string.sub(reason, 1, -2) .. ' (' .. kept .. ')"'
end

-- The time of the next try inside the progress document, as a JSON fragment; no request of a run waits any more.
local function set_retry_at(fragment)
  local progress = string.gsub(field('progress'), '"retryAt":[^,}]*', '"retryAt":' .. fragment, 1)
  progress = string.gsub(progress, '"reason":"[^"]*"', '"reason":null', 1)
  redis.call('HSET', JOB, 'progress', progress)
end

-- The state to which a caller's wish leads from this one, else the answer to it.
local function requested(state, transition)
  if not state then
    return nil, { 'missing' }
  end
  local to = NEXT[state][transition]
  if not to then
    return nil, { 'finished', render() }
  end
  return to
end

-- Whether a run with this epoch owns the job.
local function owned(epoch)
  local state = field('state')
  return field('epoch') == epoch and (state == 'running' or state == 'canceling')
end

-- The reason of a pause that is asked for and not carried out yet, as JSON; false without one.
local function pausing()
  return field('state') == 'running' and field('pausing')
end

-- Whether this very call was made before: a reconnect sends again what had no answer. Callers number their calls.
local function repeated(caller, number)
  return field('caller') == caller and count('calls') >= tonumber(number)
end

local function remember(caller, number)
  redis.call('HSET', JOB, 'caller', caller, 'calls', number)
end

-- Snapshot and events of a run. ARGV from `at`: progress or '', its bytesDone or '', number of rows, digest and row each,
-- then type and body of each event.
local function apply_report(at)
  local changed = false
  if ARGV[at] ~= '' then
    redis.call('HSET', JOB, 'progress', ARGV[at], 'bytes', ARGV[at + 1])
    changed = true
  end
  local rows = tonumber(ARGV[at + 2])
  local cursor = at + 3
  for _ = 1, rows do
    if redis.call('HSET', TRANSFERS, ARGV[cursor], ARGV[cursor + 1]) == 1 then
      redis.call('RPUSH', ORDER, ARGV[cursor])
    end
    cursor = cursor + 2
    changed = true
  end
  if changed then
    redis.call('HINCRBY', JOB, 'revision', 1)
  end
  while ARGV[cursor] do
    emit(ARGV[cursor], ARGV[cursor + 1])
    cursor = cursor + 2
  end
end
