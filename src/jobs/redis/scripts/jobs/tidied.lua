--[[
  Forgets the upload sessions of a job that were given up, and the job's turn when nothing came after it.

  KEYS[1]  record
  ARGV[5]  the turn: a job put on the list after this time (ms) has another one
  ARGV[6]  time (ms) of another turn, '' without sessions of which the registry could not be told
  ARGV[7]  fields of its noted sessions, separated by blanks
  ARGV[8]  and on: key and sealed session of each of its saved uploads

  Output: {'ok'}
]]
for name in string.gmatch(ARGV[7], '%S+') do
  redis.call('HDEL', NOTES, name)
end
-- A retry that came in between goes on with its uploads. Who found the session given up may have saved another one under
-- the same key: another job its own, or a run of this one that is over, and that needs another turn. So does what such a
-- run has saved under other keys meanwhile, and what another job may go on with.
local canceled = field('state') == 'canceled'
for at = 8, canceled and #ARGV or 0, 2 do
  local saved = redis.call('HMGET', ARGV[at], 'job', 'upload')
  if saved[1] == ID and saved[2] == ARGV[at + 1] then
    redis.call('DEL', ARGV[at])
  end
end
drop_foreign_uploads()
local again = canceled and redis.call('EXISTS', UPLOADS) == 1
local since = redis.call('ZSCORE', PREFIX .. 'tidy', ID)
if since and tonumber(since) <= tonumber(ARGV[5]) then
  if ARGV[6] ~= '' and field('state') then
    redis.call('ZADD', PREFIX .. 'tidy', ARGV[6], ID)
    redis.call('HINCRBY', JOB, 'tidyTries', 1)
  elseif not again then
    redis.call('ZREM', PREFIX .. 'tidy', ID)
    redis.call('HDEL', JOB, 'tidyTries')
    if TERMINAL[field('state') or 'canceled'] then
      redis.call('DEL', CREDENTIALS)
    end
  end
end
return { 'ok' }
