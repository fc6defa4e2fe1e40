-- The generic cell rate algorithm (GCRA) for several limits at once: all of them are charged, or none.
-- KEYS: one for each limit and client. Each holds a theoretical arrival time in microseconds since 2026, and expires
-- when that time is past.
-- ARGV: 1 to charge, 0 to only look; then for each key the time per cell in nanoseconds, the burst and the requested
-- amount in cells.
-- Returns for each key, in nanoseconds: how far the arrival time is in the future, and the wait until the requested
-- amount is available. The clock is Redis's own, so the clocks of replicas do not matter.
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1767225600) * 1000000 + tonumber(time[2])

local answer, takes, allowed = {}, {}, true
for i, key in ipairs(KEYS) do
  local cell = tonumber(ARGV[3 * i - 1]) / 1000
  local burst, wanted = tonumber(ARGV[3 * i]), tonumber(ARGV[3 * i + 1])
  local arrival = math.max(tonumber(redis.call('GET', key) or now) or now, now)
  -- If the clock was set back, no client waits longer than after an exhausted burst.
  arrival = math.min(arrival, now + burst * cell)
  local wait = arrival + (wanted - burst) * cell - now
  -- A shorter wait is a rounding error.
  if wait < 0.01 then wait = 0 end
  if wait > 0 then allowed = false end
  takes[i] = { arrival + wanted * cell, wanted }
  answer[2 * i - 1] = math.ceil((arrival - now) * 1000)
  answer[2 * i] = math.ceil(wait * 1000)
end

if ARGV[1] == '1' and allowed then
  for i, key in ipairs(KEYS) do
    local arrival, wanted = takes[i][1], takes[i][2]
    if wanted > 0 then
      local left = math.max(math.ceil((arrival - now) / 1000), 1)
      redis.call('SET', key, string.format('%.3f', arrival), 'PX', string.format('%.0f', left))
    end
  end
end
return answer
