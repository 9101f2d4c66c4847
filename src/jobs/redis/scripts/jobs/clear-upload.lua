--[[
  Clears an upload session that a run goes on with no more, unless somebody has saved another state there since. One that
  is given up is noted in the same step: the registry may not have dropped it yet.

  KEYS[1]  record
  ARGV[5]  epoch
  ARGV[6]  checkpoint
  ARGV[7]  the sealed session that the run has saved, or found there; '' without one
  ARGV[8]  seconds to keep the note
  ARGV[9]  and on: id and sealed session of the note, where there is one

  Output: {'refused'} (and nothing was done) | {'ok'}
]]
-- A later run of the job that has found it may not have saved anything itself yet, and goes on with it.
if count('epoch') > tonumber(ARGV[5]) or (ARGV[9] and not field('state')) then
  return { 'refused' }
end
if ARGV[9] then
  redis.call('HSET', NOTES, ARGV[5] .. ':' .. ARGV[9], ARGV[10])
  redis.call('EXPIRE', NOTES, ARGV[8])
  if not owned(ARGV[5]) then
    tidy_later()
  end
end
if redis.call('HGET', ARGV[6], 'upload') == ARGV[7] then
  redis.call('DEL', ARGV[6])
  redis.call('SREM', UPLOADS, ARGV[6])
end
return { 'ok' }
