--[[
  Behind replace-kept.lua, as a function replace(), and queue-state.lua: what is kept of a registry goes with how many of its jobs may
  run at once, which counts from now on.

  ARGV[6]  key prefix
  ARGV[7]  jobs at once, '' for no limit of its own
]]
local done = replace()
if done ~= 1 then
  return done
end
if ARGV[7] == '' then
  redis.call('HDEL', QUEUE_JOBS, ARGV[1])
else
  redis.call('HSET', QUEUE_JOBS, ARGV[1], ARGV[7])
end
-- A registry is one with and without the port of its scheme.
local plain = string.gsub(string.gsub(ARGV[1], ':443$', ''), ':80$', '')
for _, host in ipairs({ ARGV[1], plain }) do
  if redis.call('ZSCORE', PREFIX .. 'hosts', host) and apply_queue(host) then
    wake_queue(host)
  end
end
return done
