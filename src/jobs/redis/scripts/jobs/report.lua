--[[
  Writes what a run has to tell: snapshot and events at once.

  KEYS[1]  record
  ARGV[5]  epoch
  ARGV[6]  caller
  ARGV[7]  number of this call of the caller
  ARGV[8]  and on: the report, as apply_report wants it

  Output: {'fenced'} | {'ok'} | {'canceled'} or {'paused'} (written, and that is requested)
]]
if not owned(ARGV[5]) then
  return { 'fenced' }
end
if not repeated(ARGV[6], ARGV[7]) then
  remember(ARGV[6], ARGV[7])
  apply_report(8)
  count_stats()
end
if pausing() then
  return { 'paused' }
end
return { field('state') == 'canceling' and 'canceled' or 'ok' }
