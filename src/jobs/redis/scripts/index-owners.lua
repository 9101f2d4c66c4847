--[[
  Puts jobs into the sets of who asked for them, where an older version has not.

  KEYS[1]  all jobs
  ARGV[1]  key prefix
  ARGV[2]  and on: ids

  Output: how many were in none
]]
local added = 0
for at = 2, #ARGV do
  local id = ARGV[at]
  local record = redis.call('HMGET', ARGV[1] .. 'job:' .. id, 'state', 'principal')
  -- One that was removed meanwhile would stay for ever.
  if record[1] then
    local principal = record[2] or 'anonymous'
    added = added + redis.call('ZADD', ARGV[1] .. 'jobs:of:' .. principal, 0, id)
    local ended = redis.call('ZSCORE', ARGV[1] .. 'jobs:done', id)
    if ended then
      redis.call('ZADD', ARGV[1] .. 'jobs:done-of:' .. principal, ended, id)
    end
  end
end
return added
