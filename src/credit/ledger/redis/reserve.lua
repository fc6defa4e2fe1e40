-- Sets the most that a call may cost aside, if every budget concerned has so much left.
-- KEYS: what is spent on the day, in the month and in all; open reservations; the mark that this one has ended; the
-- epoch; the time of the latest reservation.
-- ARGV: the epoch that the caller knows; the caller's time, if Redis's clock is not to count; number; record; amount;
-- first second of the day; seconds until the day and the month may be forgotten; how many accounts; accounts; then for
-- each budget its window (which of the first three keys), its account, and the most that may be spent for this to fit.
-- Answers what `danger` answers, { 'late', time } where it is another day by that clock, { 'ended' } where it was given
-- back already, else { 'taken' or 'refused', what is spent by each budget's account }.
-- Redis refuses the first command that writes, or none: nothing is half done where it is full or a replica.

-- Whether one whole number is at most another. By their digits: Lua's own numbers are exact up to 2^53 only.
local function at_most(a, b)
  local below_a, below_b = a:sub(1, 1) == '-', b:sub(1, 1) == '-'
  if below_a ~= below_b then return below_a end
  if below_a then a, b = b:sub(2), a:sub(2) end
  if #a ~= #b then return #a < #b end
  return a <= b
end

local found = danger(KEYS[6], ARGV[1])
if found then return found end

local day = tonumber(ARGV[6])
local now = ARGV[2] ~= '' and ARGV[2] or redis.call('TIME')[1]
-- A clock that was set back grants no day and no month again.
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
    -- An amount that is past counting stays as much as can be counted.
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
