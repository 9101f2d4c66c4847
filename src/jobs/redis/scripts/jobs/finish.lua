--[[
  Ends a run, with a last report.

  KEYS[1]   record
  ARGV[5]   epoch
  ARGV[6]   caller
  ARGV[7]   number of this call of the caller
  ARGV[8]   transition: succeed, fail, stop, hold, delay or release
  ARGV[9]   result, 'null' without one
  ARGV[10]  error, 'null' without one
  ARGV[11]  reason, 'null' without one
  ARGV[12]  retryAt, 'null' without one
  ARGV[13]  '1' when the run only looked whether it may begin, or gave its place up, which is no attempt, 'spared' when it
            does not count among the tries either, else ''
  ARGV[14]  when the next run is to begin, 'null' without that
  ARGV[15]  what of the error is kept with the run, 'null' without one
  ARGV[16]  and on: the report, as apply_report wants it

  Output: {'fenced'} | {'ok', state entered}
]]
-- What came of the run, which may be another thing than becomes of the job.
local function outcome_of(to)
  if TERMINAL[to] or to == 'paused' then
    return to
  elseif ARGV[8] == 'hold' then
    return 'paused'
  elseif ARGV[13] ~= '' then
    return 'waiting'
  end
  return ARGV[8] == 'delay' and 'failed' or 'handed-over'
end

if not owned(ARGV[5]) then
  if field('epoch') == ARGV[5] and repeated(ARGV[6], ARGV[7]) then
    return { 'ok', field('state') }
  end
  return { 'fenced' }
end
remember(ARGV[6], ARGV[7])
apply_report(16)

local to = NEXT[field('state')][ARGV[8]]
local result, problem, reason, retry_at = ARGV[9], ARGV[10], ARGV[11], ARGV[12]
if pausing() and (to == 'queued' or to == 'retrying') then
  to = 'paused'
elseif to == 'paused' and not pausing() then
  -- Somebody took the pause back meanwhile.
  to, reason = 'queued', 'null'
end
if to == 'paused' then
  problem, retry_at, reason = 'null', 'null', pausing()
elseif to == 'canceled' then
  problem, retry_at = 'null', 'null'
  reason = cancel_reason()
elseif to == 'retrying' then
  -- Giving its place up is no failed try, unless nothing came of the run.
  local first = ARGV[13] == '' and 1 or 0
  local again = ARGV[13] == 'spared' and 0 or 1
  redis.call('HSET', JOB, 'retries', count('bytes') > count('mark') and first or count('retries') + again)
end
local again = to == 'retrying' or to == 'queued'
local by, said = asked_for(to)
end_run(outcome_of(to), to, {
  by = by,
  reason = said or text(ARGV[11]),
  problem = (to == 'failed' or to == 'retrying') and ARGV[15] or 'null',
  retry_at = again and ARGV[14] or 'null',
})
if again and ARGV[8] ~= 'hold' then
  expect_run(ARGV[13] ~= '' and 'wait' or ARGV[8] == 'delay' and 'failure' or 'handover')
end
redis.call('HSET', JOB, 'result', result, 'error', problem, 'reason', reason, 'lostRuns', 0)
redis.call('HDEL', JOB, 'worker')
if ARGV[13] ~= '' and not TERMINAL[to] then
  redis.call('HSET', JOB, 'looked', 1)
end
set_retry_at(retry_at)
enter(to)
count_stats()
return { 'ok', to }
