--[[
  Forgets the upload sessions of a job that were given up, and the job's turn when nothing came after it.

  KEYS[1]  record
  ARGV[5]  the turn: a job put on the list after this time (ms) has another one
  ARGV[6]  fields of its noted sessions, separated by blanks
  ARGV[7]  and on: keys of its saved uploads

  Output: {'ok'}
]]
for name in string.gmatch(ARGV[6], '%S+') do
  redis.call('HDEL', NOTES, name)
end
-- A retry that came in between goes on with its uploads.
local canceled = field('state') == 'canceled'
for at = 7, canceled and #ARGV or 0 do
  redis.call('DEL', ARGV[at])
  redis.call('SREM', UPLOADS, ARGV[at])
end
local since = redis.call('ZSCORE', PREFIX .. 'tidy', ID)
if since and tonumber(since) <= tonumber(ARGV[5]) then
  redis.call('ZREM', PREFIX .. 'tidy', ID)
  if TERMINAL[field('state') or 'canceled'] then
    redis.call('DEL', CREDENTIALS)
  end
  if canceled then
    redis.call('DEL', UPLOADS)
  end
end
return { 'ok' }
