--[[
  The check of the store: one at a time in all of layerd, and what was found by the last one. All times are Redis' own.

  KEYS[1]  hash: id, told (JSON), alive (ms), stop
  ARGV[1]  begin  [2] id  [3] what is told of it. Nothing where another one is alive
           tell   [2] id  [3] what is told of it  [4] 1: and it has ended. Nothing where another one has begun since
           stop   asks the one that is alive to end
           get
  ARGV[5]  after so many ms without a word it is dead

  Output: {} where there never was one, else {id, told, 1 while it lives, 1 where it is asked to end}
]]
local CHECK, asked, id, told = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function alive()
  return tonumber(redis.call('HGET', CHECK, 'alive') or '0') > now - tonumber(ARGV[5])
end

if asked == 'begin' and not alive() then
  redis.call('HSET', CHECK, 'id', id, 'told', told, 'alive', string.format('%.0f', now), 'stop', '')
elseif asked == 'tell' and redis.call('HGET', CHECK, 'id') == id then
  redis.call('HSET', CHECK, 'told', told, 'alive', ARGV[4] == '1' and '0' or string.format('%.0f', now))
elseif asked == 'stop' and alive() then
  redis.call('HSET', CHECK, 'stop', '1')
end
local row = redis.call('HMGET', CHECK, 'id', 'told', 'stop')
return row[1] and { row[1], row[2], alive() and '1' or '', row[3] } or {}
