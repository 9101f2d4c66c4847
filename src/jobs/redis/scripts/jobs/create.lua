--[[
  Accepts a job: record, idempotency key, sealed credentials and outbox entry at once.

  KEYS[1]   record
  ARGV[5]   idempotency key, or ''
  ARGV[6]   fingerprint of the body
  ARGV[7]   seconds to keep the idempotency key
  ARGV[8]   sealed credentials, or ''
  ARGV[9]   registries, a JSON array
  ARGV[10]  queue host
  ARGV[11]  how many hosts may have open jobs
  ARGV[12]  how many jobs may be open
  ARGV[13]  who asks
  ARGV[14]  and on: names and values of the record

  Output: {'created', job} | {'replayed', id} | {'mismatch'} | {'crowded', 'all' | 'own' | 'alone', hosts, limit, limit of all} |
          {'full', 'memory' | 'jobs' | 'own' | 'alone', figure, limit, limit of all}
]]
local key = ARGV[5]
if key ~= '' then
  local known = redis.call('HMGET', key, 'fingerprint', 'job')
  if known[1] then
    if known[1] ~= ARGV[6] then
      return { 'mismatch' }
    end
    return { 'replayed', known[2] }
  end
end

local refusal = full(ARGV[13], ARGV[12]) or crowded(ARGV[13], ARGV[10], ARGV[11])
if refusal then
  return refusal
end
for at = 14, #ARGV, 2 do
  redis.call('HSET', JOB, ARGV[at], ARGV[at + 1])
end
if key ~= '' then
  redis.call('HSET', key, 'fingerprint', ARGV[6], 'job', ID)
  redis.call('EXPIRE', key, ARGV[7])
end
if ARGV[8] ~= '' then
  redis.call('SET', CREDENTIALS, ARGV[8])
end
redis.call('ZADD', PREFIX .. 'jobs', 0, ID)
redis.call('ZADD', owned_by('jobs:of:'), 0, ID)
for _, registry in ipairs(cjson.decode(ARGV[9])) do
  redis.call('ZADD', PREFIX .. 'jobs:host:' .. registry, 0, ID)
end
local to = text(field('destination'))
log_command('accepted: ' .. text(field('kind')) .. ' ' .. text(field('source')) .. (to and ' to ' .. to or ''), field('principal'))
expect_run('first')
enter('queued')
count_open(1)
open_job()
return { 'created', render() }
