--[[
  Lets a paused job go on, as a new round: BullMQ may still hold the old one for a moment, under its id. A pause that the
  run has not carried out yet is taken back.

  KEYS[1]  record
  ARGV[5]  sealed credentials, or '' to keep those it has
  ARGV[6]  who asks
  ARGV[7]  how many hosts may have open jobs
  ARGV[8]  not used
  ARGV[9]  what who asks may touch, '' where that is everything

  Output: {'missing'} | {'finished', job} | {'ok', job} (nothing to hand over) | {'queued', job, queue host, round} |
          {'crowded', 'all' | 'own' | 'alone', hosts, limit, limit of all}
]]
local state = field('state')
local to, refusal = requested(state, 'resume')
if refusal then
  return refusal
end
refusal = to ~= state and crowded(field('principal'), field('host'), ARGV[7])
if refusal then
  return refusal
end
if ARGV[5] ~= '' then
  redis.call('SET', CREDENTIALS, ARGV[5])
end
if pausing() or to ~= state then
  log_command('resume', ARGV[6])
  expect_run('resume', ARGV[6])
end
if pausing() then
  redis.call('HDEL', JOB, 'pausing', 'pauseText', 'pauseBy')
  redis.call('HSET', JOB, 'reason', 'null')
  enter(to)
end
if to == state then
  return { 'ok', render() }
end
redis.call('HINCRBY', JOB, 'round', 1)
redis.call('HSET', JOB, 'reason', 'null', 'retries', 0, 'lostRuns', 0, 'againLimits', ARGV[9])
enter(to)
open_job()
return { 'queued', render(), field('host'), field('round') }
