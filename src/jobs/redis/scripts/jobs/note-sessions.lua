--[[
  Notes upload sessions that a run has open and that no saved upload covers. A run that is over may do so too: it can't
  give them up itself.

  KEYS[1]  record
  ARGV[5]  epoch
  ARGV[6]  seconds to keep them
  ARGV[7]  ids to forget, separated by blanks
  ARGV[8]  sealed credentials of the run, or ''
  ARGV[9]  and on: id and sealed session of each to keep

  Output: {'missing'} | {'ok'}
]]
if not field('state') then
  return { 'missing' }
end
for id in string.gmatch(ARGV[7], '%S+') do
  redis.call('HDEL', NOTES, ARGV[5] .. ':' .. id)
end
for at = 9, #ARGV, 2 do
  redis.call('HSET', NOTES, ARGV[5] .. ':' .. ARGV[at], ARGV[at + 1])
end
redis.call('EXPIRE', NOTES, ARGV[6])
if not owned(ARGV[5]) then
  tidy_later()
  -- Those of an ended job that had left nothing are gone.
  if TERMINAL[field('state')] and ARGV[8] ~= '' and redis.call('EXISTS', NOTES) == 1 then
    redis.call('SET', CREDENTIALS, ARGV[8], 'EX', TIDY_TTL, 'NX')
  end
end
return { 'ok' }
