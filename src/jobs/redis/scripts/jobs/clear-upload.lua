--[[
  Clears an upload session that a run goes on with no more, unless somebody has saved another state there since.

  KEYS[1]  record
  ARGV[5]  epoch
  ARGV[6]  checkpoint
  ARGV[7]  the sealed session that the run has saved, or found there

  Output: {'refused'} | {'ok'}
]]
local saved = redis.call('HGET', ARGV[6], 'upload')
-- A later run of the job that has found it may not have saved anything itself yet.
if saved ~= ARGV[7] or count('epoch') > tonumber(ARGV[5]) then
  return { 'refused' }
end
redis.call('DEL', ARGV[6])
redis.call('SREM', UPLOADS, ARGV[6])
return { 'ok' }
