-- Reserves the most that a call may cost, if every budget that applies has that much left.
-- KEYS: spent amounts (charged and reserved) of the day, of the month and in total; open reservations; the mark that
-- this reservation has ended; the epoch; the time of the latest reservation.
-- ARGV: the epoch that the caller knows; the caller's time, or '' to use Redis's clock; number; record; amount; first
-- second of the day; seconds until the keys of the day and the month expire; number of accounts; the accounts; then for
-- each budget its window (the index of one of the first three keys), its account, and the largest spent amount with
-- which this reservation still fits.
-- Returns the result of `trouble`; { 'late', time } if the clock is at another day; { 'ended' } if the reservation was
-- already returned; or { 'taken' or 'refused', the spent amount of each budget's account }.
-- If Redis refuses writes, it refuses the first write. So a full server or a replica stores no partial reservation.

-- Whether the integer `a` is at most `b`. Compares decimal strings, because Lua's numbers are exact only up to 2^53.
local function at_most(a, b)
  local below_a, below_b = a:sub(1, 1) == '-', b:sub(1, 1) == '-'
  if below_a ~= below_b then return below_a end
  if below_a then a, b = b:sub(2), a:sub(2) end
  if #a ~= #b then return #a < #b end
  return a <= b
end

local found = trouble(KEYS[6], ARGV[1])
if found then return found end

local day = tonumber(ARGV[6])
local now = ARGV[2] ~= '' and ARGV[2] or redis.call('TIME')[1]
-- If the clock was set back, the time of the latest reservation counts, so that no budget renews twice.
local latest = redis.call('GET', KEYS[7])
if latest and tonumber(latest) > tonumber(now) then now = latest end
if tonumber(now) < day or tonumber(now) >= day + 86400 then return { 'late', now } end
if redis.call('EXISTS', KEYS[5]) == 1 then return { 'ended' } end

local first, accounts = 9, tonumber(ARGV[8])
local answer = { 'taken' }
for i = first + accounts, #ARGV, 3 do
  local spent = redis.call('HGET', KEYS[tonumber(ARGV[i])], ARGV[i + 1]) or '0'
  if not at_most(spent, ARGV[i + 2]) then answer[1] = 'refused' end
  answer[#answer + 1] = spent
end
if answer[1] == 'refused' then return answer end

for key = 1, 3 do
  for i = first, first + accounts - 1 do
    -- After an overflow the amount is the largest integer.
    local added = redis.pcall('HINCRBY', KEYS[key], ARGV[i], ARGV[5])
    if type(added) == 'table' then
      if not added.err:find('overflow') then return added end
      redis.call('HSET', KEYS[key], ARGV[i], '9223372036854775807')
    end
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[7])
redis.call('EXPIRE', KEYS[2], ARGV[7])
redis.call('HSET', KEYS[4], ARGV[3], ARGV[4])
redis.call('SET', KEYS[7], now)
return answer
