--[[
  Behind record.lua: the runs of a job, and why each began and ended (progress/job-runs.ts reads them). A hash: number -> what was
  known when the run began, number:end -> what came of it, each JSON without its braces. Times are ms of Redis' clock, as runs begin
  and end in processes of several machines.
]]
local RUNS = JOB .. ':runs'
-- Of a job with more runs the first and the last are kept.
local FIRST_RUNS = 10
local LAST_RUNS = 90
-- Bytes of a reason.
local REASON_KEPT = 500

local function redis_now()
  local time = redis.call('TIME')
  return string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
end

local function quoted(words)
  return words and words ~= '' and cjson.encode(cut(words, REASON_KEPT)) or 'null'
end

-- Bytes on the wire and layers so far, over all runs.
local function moved_so_far()
  local progress = cjson.decode(field('progress'))
  return string.format('%.0f', progress.wireBytes or 0), string.format('%.0f', progress.layers.done or 0)
end

-- Why the next run will begin, since when it is waited for, and who asked for it.
local function expect_run(cause, by)
  redis.call('HSET', JOB, 'nextRun',
    '"cause":"' .. cause .. '","by":' .. quoted(by) .. ',"waitedSince":' .. redis_now())
end

-- `worker`: JSON; `taken_over`: from one that was lost. The attempt is counted already.
local function begin_run(worker, taken_over)
  local now = redis_now()
  -- Those of a job from before they were kept.
  if not field('runs') then
    redis.call('HSET', JOB, 'runs', math.max(0, count('attempt') - 1))
  end
  local number = redis.call('HINCRBY', JOB, 'runs', 1)
  local why = field('nextRun')
  if taken_over then
    why = '"cause":"takeover","by":null,"waitedSince":' .. now
  elseif not why then
    why = '"cause":' .. (number == 1 and '"first"' or 'null') .. ',"by":null,"waitedSince":null'
  end
  redis.call('HDEL', JOB, 'nextRun')
  local bytes, layers = moved_so_far()
  redis.call('HSET', RUNS, number, '"run":' .. number .. ',"attempt":' .. field('attempt') .. ',"worker":' .. worker
    .. ',"startedAt":' .. now .. ',' .. why .. ',"bytesBefore":' .. bytes .. ',"layersBefore":' .. layers)
  local gone = number - LAST_RUNS
  if gone > FIRST_RUNS then
    redis.call('HDEL', RUNS, gone, gone .. ':end')
  end
end

local function code_of(problem)
  return type(problem) == 'table' and problem.code or nil
end

-- A run that waits as the one before did, and moved nothing, is one wait with it: one for room looks every few seconds, for hours.
-- Returns the number of the run to end, and how many it stands for.
local function folded(number, begun, bytes, problem)
  local before = redis.call('HMGET', RUNS, number - 1, (number - 1) .. ':end')
  if not before[1] or not before[2] then
    return number, 1
  end
  local run = cjson.decode('{' .. begun .. '}')
  local last = cjson.decode('{' .. before[1] .. ',' .. before[2] .. '}')
  local still = last.bytesAfter == last.bytesBefore and tonumber(bytes) == last.bytesBefore
  if last.outcome ~= 'waiting' or last.attempt ~= run.attempt or not still or code_of(last.problem) ~= code_of(problem) then
    return number, 1
  end
  redis.call('HDEL', RUNS, number)
  redis.call('HSET', JOB, 'runs', number - 1)
  return number - 1, last.looks + 1
end

-- Ends the run that is under way, if one is. `facts`: by and reason as text, problem and retryAt as JSON.
local function end_run(outcome, to, facts)
  local number = count('runs')
  local begun = redis.call('HGET', RUNS, number)
  if not begun or redis.call('HEXISTS', RUNS, number .. ':end') == 1 then
    return
  end
  local bytes, layers = moved_so_far()
  local problem, looks = facts.problem or 'null', 1
  if outcome == 'waiting' then
    number, looks = folded(number, begun, bytes, cjson.decode(problem))
  end
  redis.call('HSET', RUNS, number .. ':end', '"endedAt":' .. redis_now() .. ',"outcome":"' .. outcome .. '","state":"' .. to
    .. '","endedBy":' .. quoted(facts.by) .. ',"reason":' .. quoted(facts.reason) .. ',"problem":' .. problem
    .. ',"retryAt":' .. (facts.retry_at or 'null') .. ',"bytesAfter":' .. bytes .. ',"layersAfter":' .. layers
    .. ',"looks":' .. looks)
end

-- Who asked for what leads to this state, and what they said; nil where nobody did.
local function asked_for(to)
  if to == 'canceled' then
    return field('cancelBy'), field('cancelText')
  elseif to == 'paused' then
    return field('pauseBy'), field('pauseText')
  end
end

-- The worker is gone; `problem`: what becomes of the job, as JSON.
local function lose_run(to, problem)
  local by, reason = asked_for(to)
  end_run('lost', to, { by = by, reason = reason, problem = problem })
end
