--[[
  Forgets what an ended job has beside its record: events, rows of layers, log, requests, runs.

  KEYS[1]  record

  Output: 1 when there was something of it, 0 when not or when the job has not ended
]]
if redis.call('HGET', KEYS[1], 'endedAt') == 'null' then
  return 0
end
local gone = redis.call('UNLINK', KEYS[1] .. ':events', KEYS[1] .. ':transfers', KEYS[1] .. ':transfers:order', KEYS[1] .. ':log', KEYS[1] .. ':trace', KEYS[1] .. ':runs')
redis.call('HDEL', KEYS[1], 'logBytes', 'traceBytes', 'traceDropped')
return gone > 0 and 1 or 0
