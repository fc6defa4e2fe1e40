-- Ends a reservation exactly once: the first settlement counts, and repeated ones do nothing. The first one also counts
-- if the reservation itself was lost.
-- KEYS: spent amounts of the day, of the month and in total; open reservations; the mark that this reservation has
-- ended; and for a call that was made: the day's totals by provider and client, the day's totals by provider, all
-- days, the call history, the latest calls, the day's clients without an API key.
-- ARGV: number, or '' for a call that could not cost anything; the reserved amount, negative; the charged amount;
-- seconds until the keys of the day and the month expire; number of accounts; the accounts; the day; number of totals
-- of the day; three values for each (field by client, field by provider, amount); number of fields of the call history;
-- two values for each (field, amount); the sample of this call, or ''; how many samples are stored; the client if it
-- has no API key, or ''; how many such clients the day may name. Beyond that number, calls count without a client.
-- Returns 1, or 0 if the reservation had already ended.

local function add(key, field, amount)
  if amount == '0' or amount == '-0' then return end
  local added = redis.pcall('HINCRBY', key, field, amount)
  if type(added) == 'table' then
    if not added.err:find('overflow') then error(added) end
    redis.call('HSET', key, field, '9223372036854775807')
  end
end

local number, accounts = ARGV[1], tonumber(ARGV[5])
local open = false
if number ~= '' then
  -- The mark exists for longer than any gateway repeats a settlement.
  if not redis.call('SET', KEYS[5], '1', 'NX', 'EX', 172800) then return 0 end
  open = redis.call('HDEL', KEYS[4], number) == 1
end
for key = 1, 3 do
  for i = 6, 5 + accounts do
    if open then add(KEYS[key], ARGV[i], ARGV[2]) end
    add(KEYS[key], ARGV[i], ARGV[3])
  end
end
redis.call('EXPIRE', KEYS[1], ARGV[4])
redis.call('EXPIRE', KEYS[2], ARGV[4])
if #KEYS == 5 then return 1 end

local at = 6 + accounts
redis.call('SADD', KEYS[8], ARGV[at])
local client, most = ARGV[#ARGV - 1], tonumber(ARGV[#ARGV])
-- 1 selects the field without a client.
local unnamed = 0
if client ~= '' and redis.call('SISMEMBER', KEYS[11], client) == 0 then
  if redis.call('SCARD', KEYS[11]) >= most then
    unnamed = 1
  else
    redis.call('SADD', KEYS[11], client)
    redis.call('EXPIRE', KEYS[11], ARGV[4])
  end
end
local sums = tonumber(ARGV[at + 1])
at = at + 2
for i = at, at + 3 * sums - 1, 3 do
  add(KEYS[6], ARGV[i + unnamed], ARGV[i + 2])
  add(KEYS[7], ARGV[i + 1], ARGV[i + 2])
end
redis.call('EXPIRE', KEYS[6], ARGV[4])
at = at + 3 * sums
local pairs = tonumber(ARGV[at])
for i = at + 1, at + 2 * pairs, 2 do add(KEYS[9], ARGV[i], ARGV[i + 1]) end
at = at + 1 + 2 * pairs
if ARGV[at] ~= '' then
  redis.call('RPUSH', KEYS[10], ARGV[at])
  redis.call('LTRIM', KEYS[10], '-' .. ARGV[at + 1], '-1')
end
return 1
