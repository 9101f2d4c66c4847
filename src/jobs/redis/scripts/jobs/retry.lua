--[[
  Queues an ended job again, as a new round: BullMQ may still hold the old one for a moment, under its id.

  KEYS[1]  record
  ARGV[5]  sealed credentials, or ''
  ARGV[6]  who asks
  ARGV[7]  how many hosts may have open jobs
  ARGV[8]  how many jobs may be open
  ARGV[9]  what who asks may touch, '' where that is everything

  Output: {'missing'} | {'finished', job} | {'active', job} | {'queued', job, queue host, round} |
          {'crowded', 'all' | 'own' | 'alone', hosts, limit, limit of all} |
          {'full', 'memory' | 'jobs' | 'own' | 'alone', figure, limit, limit of all}
]]
local state = field('state')
if not state then
  return { 'missing' }
end
local to = NEXT[state].retry
if not to then
  return { TERMINAL[state] and 'finished' or 'active', render() }
end
local refusal = full(field('principal'), ARGV[8]) or crowded(field('principal'), field('host'), ARGV[7])
if refusal then
  return refusal
end
log_command('retry', ARGV[6])
expect_run('retry', ARGV[6])
redis.call('HINCRBY', JOB, 'round', 1)
redis.call('HSET', JOB, 'result', 'null', 'error', 'null', 'reason', 'null', 'endedAt', 'null', 'retries', 0, 'lostRuns', 0)
redis.call('HDEL', JOB, 'cancelReason', 'cancelText', 'cancelBy', 'worker', 'looked', 'begun', 'once')
redis.call('HSET', JOB, 'againLimits', ARGV[9])
redis.call('ZREM', PREFIX .. 'jobs:done', ID)
redis.call('ZREM', owned_by('jobs:done-of:'), ID)
redis.call('ZREM', PREFIX .. 'tidy', ID)
for _, key in ipairs({ EVENTS, TRANSFERS, ORDER, TRACE }) do
  redis.call('PERSIST', key)
end
if ARGV[5] ~= '' then
  redis.call('SET', CREDENTIALS, ARGV[5])
else
  redis.call('DEL', CREDENTIALS)
end
enter(to)
count_open(1)
open_job()
return { 'queued', render(), field('host'), field('round') }
