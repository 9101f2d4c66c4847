--[[
  Behind record.lua: what jobs moved, and what became of them, by minute for an hour and by hour for a week.

  A bucket is a hash, `<kind> <registry>` -> eight sums, blanks between them: jobs begun, succeeded, failed, canceled; bytes sent, and how
  many of these not for the first time; bytes received, and of these. Under `<kind>` alone are those of registries that have no row of
  their own. Times are this Redis's, so that no clocks of two machines are compared.
]]
local BEGUN, SENT, RECEIVED = 1, 5, 7
local COLUMN_OF = { succeeded = 2, failed = 3, canceled = 4 }
-- Rows of a bucket. With one more the lesser half of them goes into the rows of the kinds.
local ROWS_KEPT = 256

-- What the job's run has moved and nobody has counted yet.
local moved, again = 0, 0

-- What was moved between two documents of progress. What a run finds kept of an earlier one is told as resumed from then on, and was
-- sent for the first time all the same.
local function note_moved(before, after)
  local function more(name)
    local pattern = '"' .. name .. '":(%d+)'
    return (string.match(after, pattern) or 0) - (string.match(before, pattern) or 0)
  end
  local wire = more('wireBytes')
  if wire > 0 then
    moved = moved + wire
    again = again + wire - math.max(0, math.min(wire, more('bytesSent') + more('bytesResumed')))
  end
end

-- Adds sums, by their columns, to the row of a registry and a kind.
local function add_stats(kind, registry, added)
  local SUMS, FORMAT = '(%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+) (%d+)', '%.0f %.0f %.0f %.0f %.0f %.0f %.0f %.0f'
  local function add(bucket, row, more)
    local sums = { string.match(redis.call('HGET', bucket, row) or '', SUMS) }
    for column = 1, 8 do
      sums[column] = (sums[column] or 0) + (more[column] or 0)
    end
    return redis.call('HSET', bucket, row, string.format(FORMAT, unpack(sums))) == 1
  end
  -- Those with the most bytes, and among the same those with the most jobs, keep their rows.
  local function fold(bucket)
    local rows = {}
    for _, row in ipairs(redis.call('HKEYS', bucket)) do
      if string.find(row, ' ', 1, true) then
        local sums = { string.match(redis.call('HGET', bucket, row), SUMS) }
        rows[#rows + 1] = { row, sums[SENT] + sums[RECEIVED], sums[1] + sums[2] + sums[3] + sums[4], sums }
      end
    end
    table.sort(rows, function(a, b)
      if a[2] ~= b[2] then
        return a[2] < b[2]
      end
      return a[3] < b[3] or (a[3] == b[3] and a[1] < b[1])
    end)
    for at = 1, math.floor(ROWS_KEPT / 2) do
      local row, _, _, sums = unpack(rows[at])
      redis.call('HDEL', bucket, row)
      add(bucket, string.match(row, '%S+'), sums)
    end
  end
  local now = redis.call('TIME')[1]
  local function count(seconds, kept)
    local begins = now - now % seconds
    local bucket = PREFIX .. 'stats:' .. seconds .. ':' .. begins
    if add(bucket, kind .. ' ' .. registry, added) then
      redis.call('EXPIREAT', bucket, begins + kept + 2 * seconds)
      if redis.call('HLEN', bucket) > ROWS_KEPT then
        fold(bucket)
      end
    end
  end
  count(60, 3600)
  count(3600, 604800)
end

-- Counts what was noted and, with a column, a job more there: in one row, but for what a copy received. A publish and a copy send, to
-- the registry whose queue they are in; all others receive.
local function count_stats(column)
  if moved == 0 and not column then
    return
  end
  local record = redis.call('HMGET', JOB, 'kind', 'host')
  local kind, host = string.sub(record[1], 2, -2), record[2]
  local added = column and { [column] = 1 } or {}
  local sends = kind == 'publish' or kind == 'copy'
  -- A file of this machine comes from no registry.
  if moved > 0 and (sends or host ~= 'local') then
    local at = sends and SENT or RECEIVED
    added[at], added[at + 1] = moved, again
  end
  add_stats(kind, host, added)
  if kind == 'copy' and moved > 0 then
    local registries = cjson.decode(field('registries'))
    add_stats(kind, registries[2] or host, { [RECEIVED] = moved, [RECEIVED + 1] = again })
  end
  moved, again = 0, 0
end
