--[[
  A run is about to do what may not be done twice. Until somebody asks to retry the job no other run of it may.

  KEYS[1]  record
  ARGV[5]  epoch

  Output: {'fenced'} | {'first'} | {'again'}: another run did
]]
if not owned(ARGV[5]) then
  return { 'fenced' }
end
local by = field('once')
if by and by ~= ARGV[5] then
  return { 'again' }
end
redis.call('HSET', JOB, 'once', ARGV[5])
return { 'first' }
