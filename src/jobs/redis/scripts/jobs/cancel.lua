--[[
  Asks to cancel: what waits ends here, what runs is told to stop.

  KEYS[1]  record
  ARGV[5]  reason as JSON, or 'null'
  ARGV[6]  reason as text
  ARGV[7]  who asks

  Output: {'missing'} | {'finished', job} | {'ok', job, queue host, round}
]]
local state = field('state')
local to, refusal = requested(state, 'cancel')
if refusal then
  return refusal
end
if to ~= state then
  log_command('cancel', ARGV[7], ARGV[6])
  redis.call('HSET', JOB, 'cancelReason', ARGV[5], 'cancelText', ARGV[6], 'cancelBy', ARGV[7], 'reason', ARGV[5])
  if to == 'canceled' then
    redis.call('HSET', JOB, 'error', 'null', 'reason', cancel_reason())
    set_retry_at('null')
  end
  enter(to)
end
if to == 'canceling' then
  redis.call('PUBLISH', PREFIX .. 'stop', 'cancel|' .. ID .. '|' .. field('cancelText'))
end
return { 'ok', render(), field('host'), field('round') }
