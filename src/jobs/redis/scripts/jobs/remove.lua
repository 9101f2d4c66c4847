--[[
  Forgets an ended job.

  KEYS[1]  record

  Output: {'missing'} | {'active', job} | {'ok'}
]]
local state = field('state')
if not state then
  return { 'missing' }
end
if not TERMINAL[state] then
  return { 'active', render() }
end
tell_removed()
local key = field('idempotencyKey')
if key and redis.call('HGET', key, 'job') == ID then
  redis.call('DEL', key)
end
for _, registry in ipairs(cjson.decode(field('registries'))) do
  redis.call('ZREM', PREFIX .. 'jobs:host:' .. registry, ID)
end
redis.call('ZREM', PREFIX .. 'jobs:state:' .. state, ID)
redis.call('ZREM', PREFIX .. 'jobs:done', ID)
redis.call('ZREM', PREFIX .. 'jobs', ID)
redis.call('ZREM', owned_by('jobs:of:'), ID)
redis.call('ZREM', owned_by('jobs:done-of:'), ID)
redis.call('ZREM', PREFIX .. 'tidy', ID)
redis.call('DEL', JOB, EVENTS, TRANSFERS, ORDER, UPLOADS, NOTES, CREDENTIALS, LOG, TRACE, RUNS, DELETIONS)
return { 'ok' }
