--[[
  Starts a run, unless there is nothing to run.

  KEYS[1]  record
  ARGV[5]  round of the dispatch
  ARGV[6]  worker
  ARGV[7]  nonce of this call: sent twice by a reconnect, it begins once
  ARGV[8]  problem for a job whose workers are lost too often
  ARGV[9]  how many such runs in a row are too many
  ARGV[10] the worker's id, machine and process, as JSON

  Output: {'ended'} | {'held'}: the queue is paused | {'begun', epoch, retries, job}
]]
local state = field('state')
if not state or field('round') ~= ARGV[5] then
  return { 'ended' }
end
if state == 'running' and field('nonce') == ARGV[7] then
  return { 'begun', field('epoch'), field('retries'), render() }
end
local to = NEXT[state].begin
if not to then
  return { 'ended' }
end
if pausing() then
  redis.call('HSET', JOB, 'reason', field('pausing'))
  to = NEXT[state].hold
end
if to == 'canceled' then
  redis.call('HSET', JOB, 'reason', cancel_reason())
end
if to ~= 'running' then
  redis.call('HINCRBY', JOB, 'epoch', 1)
  lose_run(to)
  enter(to)
  return { 'ended' }
end

local lost = count('lostRuns')
local reason = 'null'
if state == 'running' then
  reason = '"taken over from a lost worker"'
  lost = lost_runs()
end
redis.call('HINCRBY', JOB, 'epoch', 1)
-- It was handed out before that; one whose worker was lost waits again.
if is_queue_paused(field('host')) then
  if state == 'running' then
    redis.call('HSET', JOB, 'lostRuns', lost, 'reason', 'null')
    redis.call('HDEL', JOB, 'worker')
    lose_run(NEXT.running.release)
    expect_run('takeover')
    enter(NEXT.running.release)
  end
  return { 'held' }
end
redis.call('ZREM', OUTBOX, outbox_member())
redis.call('HSET', JOB, 'lostRuns', lost)
if lost >= tonumber(ARGV[9]) then
  lose_run(NEXT[state].stall, ARGV[8])
  redis.call('HSET', JOB, 'error', ARGV[8], 'reason', 'null')
  enter(NEXT[state].stall)
  return { 'ended' }
end

-- The run before may have looked for room and found none, or given its place up: this one goes on with its attempt.
if redis.call('HDEL', JOB, 'looked') == 0 then
  redis.call('HINCRBY', JOB, 'attempt', 1)
end
if state == 'running' then
  lose_run(to)
end
begin_run(ARGV[10], state == 'running')
redis.call('HSET', JOB, 'mark', count('bytes'), 'worker', ARGV[6], 'nonce', ARGV[7], 'reason', reason,
  'error', 'null')
if field('startedAt') == 'null' then
  redis.call('HSET', JOB, 'startedAt', '"' .. NOW .. '"')
end
set_retry_at('null')
if redis.call('HSETNX', JOB, 'begun', 1) == 1 then
  count_stats(BEGUN)
end
enter(to)
return { 'begun', field('epoch'), field('retries'), render() }
