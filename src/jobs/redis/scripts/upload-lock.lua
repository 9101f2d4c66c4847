--[[
  Who may write to an upload that comes in pieces.

  KEYS[1]  lock. Beside it, as `...:wanted`, is there while somebody waits for it, and as `...:open` the token of the last holder
           until it says that it has ended
  ARGV[1]  what is asked, with
    take     [4] channel that tells the holder that somebody waits  [5] the upload's id  [6] ms for which that is known
             [7] the token of a holder that is gone, or nothing  [8] ms for which one that did not say so is remembered
             Output: 'taken', and the token of one before that never said that it has ended; or 'held' and the holder's token
    renew    Output: 'kept', or 'wanted' where somebody waits, or 'lost'
    release  Output: 'freed', or 'lost'
  ARGV[2]  token
  ARGV[3]  ms to live
]]
local asked, token, ttl = ARGV[1], ARGV[2], ARGV[3]
local holder = redis.call('GET', KEYS[1])
local wanted, open = KEYS[1] .. ':wanted', KEYS[1] .. ':open'

if asked == 'take' then
  if holder and holder ~= token and holder ~= ARGV[7] then
    redis.call('SET', wanted, '1', 'PX', ARGV[6])
    redis.call('PUBLISH', ARGV[4], ARGV[5])
    return { 'held', holder }
  end
  redis.call('SET', KEYS[1], token, 'PX', ttl)
  redis.call('DEL', wanted)
  local before = redis.call('GET', open)
  redis.call('SET', open, token, 'PX', ARGV[8])
  return { 'taken', before and before ~= token and before or '' }
end

if asked == 'release' and redis.call('GET', open) == token then redis.call('DEL', open) end
if holder ~= token then return { 'lost' } end
if asked == 'release' then
  redis.call('DEL', KEYS[1])
  return { 'freed' }
end
redis.call('PEXPIRE', KEYS[1], ttl)
return { redis.call('EXISTS', wanted) == 1 and 'wanted' or 'kept' }
