--[[
  Behind record.lua, stats.lua, admission.lua and queue-state.lua: how a job goes from state to state, and what goes with it.
]]
-- What BullMQ keeps of a queue for ever goes with its host: else each host that ever had a job would stay in Redis.
local QUEUE_KEPT = 86400

local function queue_keys(host)
  return { bull_key(host, 'meta'), bull_key(host, 'id'), bull_key(host, 'events'), bull_key(host, 'marker') }
end

-- How long it is told how many runs have ended their job.
local ENDED_MINUTES = 5

local function count_ended(host)
  local minute = math.floor(now_ms() / 60000)
  local key = queue_key(host, 'ended')
  redis.call('HINCRBY', key, minute, 1)
  if redis.call('HLEN', key) > ENDED_MINUTES then
    for _, kept in ipairs(redis.call('HKEYS', key)) do
      if tonumber(kept) <= minute - ENDED_MINUTES then
        redis.call('HDEL', key, kept)
      end
    end
  end
  redis.call('EXPIRE', key, ENDED_MINUTES * 60)
end

-- Counts the job where it is in its host's queue.
local function move_in_queue(from, to)
  local host = field('host')
  if from and from ~= to then
    redis.call('ZREM', queue_key(host, from), ID)
  end
  if not TERMINAL[to] then
    redis.call('ZADD', QUEUES, 0, host)
    redis.call('ZADD', queue_key(host, to), 'NX', now_ms(), ID)
    return
  end
  if from == 'running' or from == 'canceling' then
    count_ended(host)
  end
  leave_queue(host)
end

-- Into the hands of the workers, and out of them.
local function open_job()
  local host = field('host')
  hold_host(host, 1)
  if tonumber(redis.call('ZINCRBY', HOSTS, 1, host)) == 1 then
    for _, key in ipairs(queue_keys(host)) do
      redis.call('PERSIST', key)
    end
    apply_queue(host)
    redis.call('PUBLISH', HOSTS, host)
  end
  redis.call('ZADD', OUTBOX, NOW_MS, outbox_member())
end

local function withdraw_job()
  local host = field('host')
  hold_host(host, -1)
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
  count_stats(COLUMN_OF[to])
  count_open(-1)
  redis.call('ZADD', PREFIX .. 'jobs:done', NOW_MS, ID)
  redis.call('ZADD', owned_by('jobs:done-of:'), NOW_MS, ID)
  drop_foreign_uploads()
  local left = redis.call('EXISTS', NOTES) == 1 or (to == 'canceled' and redis.call('EXISTS', UPLOADS) == 1)
  if left then
    redis.call('ZADD', PREFIX .. 'tidy', NOW_MS, ID)
    redis.call('EXPIRE', CREDENTIALS, TIDY_TTL)
  else
    redis.call('DEL', CREDENTIALS)
  end
  for _, key in ipairs({ EVENTS, TRANSFERS, ORDER, TRACE }) do
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
  move_in_queue(from, to)
  if from and AT_REST[to] and not AT_REST[from] then
    withdraw_job()
  end
  if to ~= 'running' then
    redis.call('HDEL', JOB, 'pausing', 'pauseText', 'pauseBy')
  end
  redis.call('HSET', JOB, 'state', to, 'changedAt', NOW_MS)
  redis.call('HINCRBY', JOB, 'revision', 1)
  if TERMINAL[to] then
    redis.call('HSET', JOB, 'endedAt', '"' .. NOW .. '"')
  end
  log_state(to)
  local rendered = render(told_reason())
  local job = '"job":' .. rendered
  emit('state', job)
  tell_fleet(from, rendered)
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

-- How many runs in a row, with this one that its worker has lost, have moved no new byte.
local function lost_runs()
  return count('bytes') > count('mark') and 0 or count('lostRuns') + 1
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

-- Requests of a run, the oldest of which go when there are too many. ARGV from `at`: how many, how many nobody kept, how many
-- are to be kept in all, then each. Returns where the next argument is.
local function keep_trace(at)
  local requests, dropped, most = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local cursor = at + 3
  if requests == 0 and dropped == 0 then
    return cursor
  end
  -- That of an earlier life of the job may be gone, and its figures not.
  local kept = redis.call('LLEN', TRACE)
  local bytes = kept > 0 and count('traceBytes') or 0
  dropped = dropped + (kept > 0 and count('traceDropped') or 0)
  for _ = 1, requests do
    redis.call('RPUSH', TRACE, ARGV[cursor])
    bytes = bytes + #ARGV[cursor]
    cursor = cursor + 1
  end
  kept = kept + requests
  while kept > 0 and (kept > most or bytes > TRACE_KEPT) do
    bytes = bytes - #redis.call('LPOP', TRACE)
    kept = kept - 1
    dropped = dropped + 1
  end
  redis.call('HSET', JOB, 'traceBytes', bytes, 'traceDropped', dropped)
  return cursor
end

-- Snapshot and events of a run. ARGV from `at`: progress or '', its bytesDone or '', the package or '', number of rows, digest
-- and row each, requests as keep_trace wants them, then type and body of each event.
local function apply_report(at)
  local changed = false
  if ARGV[at] ~= '' then
    note_moved(field('progress'), ARGV[at])
    redis.call('HSET', JOB, 'progress', ARGV[at], 'bytes', ARGV[at + 1])
    tell_moved()
    changed = true
  end
  local named = ARGV[at + 2] ~= '' and ARGV[at + 2] ~= field('package')
  if named then
    redis.call('HSET', JOB, 'package', ARGV[at + 2])
    changed = true
  end
  local rows = tonumber(ARGV[at + 3])
  local cursor = at + 4
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
  if named then
    local rendered = render()
    emit('state', '"job":' .. rendered)
    tell_fleet(field('state'), rendered)
  end
  cursor = keep_trace(cursor)
  while ARGV[cursor] do
    emit(ARGV[cursor], ARGV[cursor + 1])
    cursor = cursor + 2
  end
end
