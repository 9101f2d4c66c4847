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
local TRACE = JOB .. ':trace'
local DELETIONS = JOB .. ':deletions'
local CREDENTIALS = PREFIX .. 'cred:' .. ID
local OUTBOX = PREFIX .. 'outbox'
local HOSTS = PREFIX .. 'hosts'

-- About four minutes at the full rate of four events a second; who was away longer starts from a snapshot. A thousand
-- entries of one KB keep a job under 1 MB of Redis.
local EVENTS_KEPT = 1000
-- Bytes of a job's log, and of one message in it.
local LOG_KEPT = 1048576
local MESSAGE_KEPT = 4096
-- Bytes of what registries say beside their answers, over all runs of a job.
local WARNINGS_KEPT = 4096
-- Bytes of the requests that are kept of a job.
local TRACE_KEPT = 2097152
-- Events, transfers and requests of an ended job, in seconds.
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

-- The set of that kind of who asked for the job; one from before anybody did is everybody's.
local function owned_by(kind)
  return PREFIX .. kind .. (field('principal') or 'anonymous')
end

local function text(fragment)
  local value = fragment and cjson.decode(fragment)
  return type(value) == 'string' and value or nil
end

-- At most so many bytes, and no half of a character.
local function cut(message, most)
  if #message <= most then
    return message
  end
  local last = most
  while last > 0 and string.byte(message, last + 1) >= 128 and string.byte(message, last + 1) < 192 do
    last = last - 1
  end
  return string.sub(message, 1, last) .. '…'
end

-- A line of the job's log, which lives as long as the job; the oldest go when it gets too long.
local function log_line(level, message)
  local line = '{"time":"' .. NOW .. '","attempt":' .. field('attempt') .. ',"level":"' .. level .. '","message":'
    .. cjson.encode(cut(message, MESSAGE_KEPT)) .. '}'
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

-- Why the job is in its state, as JSON, for those who hear of it: one that waits always says for what (model/plain-reasons.ts).
local function told_reason()
  local state, reason = field('state'), field('reason')
  if reason ~= 'null' then
    return reason
  elseif state ~= 'retrying' then
    return PLAIN_REASONS[state] and cjson.encode(PLAIN_REASONS[state]) or reason
  end
  local problem = cjson.decode(field('error'))
  local retry_at = cjson.decode(field('progress')).retryAt
  return cjson.encode((type(problem) == 'table' and problem.title or 'the last run failed')
    .. (type(retry_at) == 'string' and '; tried again at ' .. string.sub(retry_at, 12, 19) .. ' UTC' or ''))
end

-- `reason`: as JSON, in place of the record's.
local function render(reason)
  local f = redis.call('HMGET', JOB, 'kind', 'source', 'destination', 'options', 'labels', 'state', 'reason', 'revision',
    'attempt', 'createdAt', 'startedAt', 'endedAt', 'progress', 'result', 'error', 'principal', 'requestId', 'traceparent',
    'package')
  local trace = f[18] and f[18] ~= '' and cjson.encode(f[18]) or 'null'
  return '{"id":"' .. ID .. '","kind":' .. f[1] .. ',"source":' .. f[2] .. ',"destination":' .. f[3]
    .. ',"options":' .. f[4] .. ',"labels":' .. f[5] .. ',"principal":' .. cjson.encode(f[16] or 'anonymous')
    .. ',"requestId":' .. cjson.encode(f[17] or '') .. ',"traceparent":' .. trace
    .. ',"package":' .. (f[19] or 'null') .. ',"state":"' .. f[6] .. '","reason":' .. (reason or f[7])
    .. ',"done":' .. tostring(TERMINAL[f[6]] == true) .. ',"revision":' .. f[8] .. ',"attempt":' .. f[9]
    .. ',"createdAt":' .. f[10] .. ',"startedAt":' .. f[11] .. ',"endedAt":' .. f[12] .. ',"progress":' .. f[13]
    .. ',"result":' .. f[14] .. ',"error":' .. f[15] .. '}'
end

-- Whether a registry's warning is none that the job was told: registries repeat them with each answer, to each run.
local function is_news(body)
  local told = field('warnings') or ''
  local bytes = count('warningBytes') + #cjson.decode('{' .. body .. '}').message
  if string.find(told, body, 1, true) or bytes > WARNINGS_KEPT then
    return false
  end
  redis.call('HSET', JOB, 'warnings', told .. body .. '\n', 'warningBytes', bytes)
  return true
end

-- `body`: the event's own members as JSON, without braces.
local function emit(kind, body)
  if kind == 'warning' and string.find(body, '"code":"REGISTRY_WARNING"', 1, true) and not is_news(body) then
    return
  end
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
