-- Ends a reservation, once: the first to end it counts, however often it is told, and whether or not the
-- reservation itself was lost.
-- KEYS: what is spent on the day, in the month and in all; open reservations; the mark that this one has ended; and
-- unless it is only given back: sums of the day by provider and client, sums of the day by provider, all days,
-- experience, the latest calls, clients without a key that the day names.
-- ARGV: number, empty for a call that could cost nothing; what was reserved, negative; what is charged; seconds
-- until the day and the month may be forgotten; how many accounts; accounts; the day; how many sums of the day;
-- three for each (field by client, field by provider, amount); how many of experience; two for each (field,
-- amount); what is remembered of the call, or nothing; of how many calls that is; the client if it has no key, or
-- nothing; how many such clients the day may name, the sums of another being counted without it.
-- Answers 1, or 0 where it had ended already.

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
  -- Longer than anybody goes on telling it.
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
-- 1: counted by the field without a client.
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
