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
  ARGV[14]  and on: the report, as apply_report wants it

  Output: {'fenced'} | {'ok', state entered}
]]
if not owned(ARGV[5]) then
  if field('epoch') == ARGV[5] and repeated(ARGV[6], ARGV[7]) then
    return { 'ok', field('state') }
  end
  return { 'fenced' }
end
remember(ARGV[6], ARGV[7])
apply_report(14)

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
redis.call('HSET', JOB, 'result', result, 'error', problem, 'reason', reason, 'lostRuns', 0)
redis.call('HDEL', JOB, 'worker')
if ARGV[13] ~= '' and not TERMINAL[to] then
  redis.call('HSET', JOB, 'looked', 1)
end
set_retry_at(retry_at)
enter(to)
return { 'ok', to }
