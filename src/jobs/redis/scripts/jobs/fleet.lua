--[[
  Behind record.lua: what those are told who watch all jobs (progress/fleet.ts). The stream says which jobs changed, and not how:
  some 60 bytes an entry, whatever a job holds. Who listens gets the job with it; nobody listens, and it costs next to nothing.
  Nothing else is in an entry, so that what is deleted is.

  Messages: entry|state before, '' for a new job|registries|job    entry|removed|registries|id|affair    moved|job id
]]
local FLEET = PREFIX .. 'fleet'
-- Who was away for more changes than these starts from a snapshot.
local FLEET_KEPT = 10000
-- So long it is known who may hear that a job was removed, in seconds; who was away longer starts from a snapshot.
local REMOVED_KEPT = 900

local function tell_fleet(from, job)
  from = from or ''
  local entry = redis.call('XADD', FLEET, 'MAXLEN', '~', FLEET_KEPT, '*', 'job', ID, 'revision', field('revision'), 'from', from)
  redis.call('PUBLISH', FLEET, table.concat({ entry, from, field('registries') or '[]', job }, '|'))
end

-- Progress is told as it is when somebody comes to tell it.
local function tell_moved()
  redis.call('PUBLISH', FLEET, 'moved|' .. ID)
end

-- The last words about a job, before its record goes: as much as says who may hear of it.
local function tell_removed()
  local f = redis.call('HMGET', JOB, 'kind', 'source', 'destination', 'labels', 'state', 'result', 'principal', 'revision')
  local result = cjson.decode(f[6] or 'null')
  local reference = type(result) == 'table' and result.reference
  local affair = '{"kind":' .. f[1] .. ',"source":' .. f[2] .. ',"destination":' .. f[3] .. ',"labels":' .. f[4]
    .. ',"state":"' .. f[5] .. '","principal":' .. cjson.encode(f[7] or 'anonymous') .. ',"result":'
    .. (type(reference) == 'string' and '{"reference":' .. cjson.encode(reference) .. '}' or 'null') .. '}'
  local registries = field('registries') or '[]'
  local entry = redis.call('XADD', FLEET, 'MAXLEN', '~', FLEET_KEPT, '*', 'job', ID, 'revision', f[8], 'from', 'removed')
  redis.call('SET', FLEET .. ':removed:' .. ID, registries .. '|' .. affair, 'EX', REMOVED_KEPT)
  redis.call('PUBLISH', FLEET, table.concat({ entry, 'removed', registries, ID, affair }, '|'))
end
