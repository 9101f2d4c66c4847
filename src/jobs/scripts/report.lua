--[[
  Writes what a run has to tell: snapshot and events at once.

  KEYS[1]  record
  ARGV[5]  epoch
  ARGV[6]  number of this call, counting up: sent twice by a reconnect, it writes once
  ARGV[7]  and on: the report, as apply_report wants it

  Output: {'fenced'} | {'ok'} | {'canceled'} (written, and a cancel is requested)
]]
if not owned(ARGV[5]) then
  return { 'fenced' }
end
if tonumber(ARGV[6]) > count('told') then
  redis.call('HSET', JOB, 'told', ARGV[6])
  apply_report(7)
end
return { field('state') == 'canceling' and 'canceled' or 'ok' }
