--[[
  Asks to pause: what waits rests from now on, what runs is told to stop and rests then.

  KEYS[1]  record
  ARGV[5]  reason as JSON, or 'null'
  ARGV[6]  reason as text
  ARGV[7]  reason while the run still stops, as JSON
  ARGV[8]  who asks

  Output: {'missing'} | {'finished', job} | {'ok', job, queue host, round}
]]
local state = field('state')
local to, refusal = requested(state, 'pause')
if refusal then
  return refusal
end
if to == 'running' and not field('pausing') then
  log_command('pause', ARGV[8], ARGV[6])
  redis.call('HSET', JOB, 'pausing', ARGV[5], 'pauseText', ARGV[6], 'pauseBy', ARGV[8], 'reason', ARGV[7])
  enter(to)
  redis.call('PUBLISH', PREFIX .. 'stop', 'pause|' .. ID .. '|' .. ARGV[6])
elseif to ~= state then
  log_command('pause', ARGV[8], ARGV[6])
  redis.call('HSET', JOB, 'reason', ARGV[5], 'error', 'null')
  set_retry_at('null')
  enter(to)
end
return { 'ok', render(), field('host'), field('round') }
