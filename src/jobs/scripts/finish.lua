--[[
  Ends a run, with a last report.

  KEYS[1]   record
  ARGV[5]   epoch
  ARGV[6]   number of this call, counting up: sent twice by a reconnect, it ends once
  ARGV[7]   transition: succeed, fail, stop, delay or release
  ARGV[8]   result, 'null' without one
  ARGV[9]   error, 'null' without one
  ARGV[10]  reason, 'null' without one
  ARGV[11]  retryAt, 'null' without one
  ARGV[12]  and on: the report, as apply_report wants it

  Output: {'fenced'} | {'ok', state entered}
]]
if not owned(ARGV[5]) then
  if field('epoch') == ARGV[5] and field('told') == ARGV[6] then
    return { 'ok', field('state') }
  end
  return { 'fenced' }
end
redis.call('HSET', JOB, 'told', ARGV[6])
apply_report(12)

local to = NEXT[field('state')][ARGV[7]]
local result, problem, reason, retry_at = ARGV[8], ARGV[9], ARGV[10], ARGV[11]
if to == 'canceled' then
  problem, retry_at = 'null', 'null'
  reason = field('cancelReason') or reason
elseif to == 'retrying' then
  redis.call('HSET', JOB, 'retries', count('bytes') > count('mark') and 1 or count('retries') + 1)
end
redis.call('HSET', JOB, 'result', result, 'error', problem, 'reason', reason, 'lostRuns', 0)
redis.call('HDEL', JOB, 'worker')
set_retry_at(retry_at)
enter(to)
return { 'ok', to }
