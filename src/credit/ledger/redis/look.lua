-- Checks whether reservations can be made. A caller that knows no epoch adopts the account in Redis, or starts a new
-- one if there is none.
-- KEYS: the epoch; the time of the latest reservation. ARGV: the epoch that the caller knows, or ''; a new epoch.
-- Returns the result of `trouble`, or { 'fine', the epoch, seconds by which the clock is behind the latest reservation }.
local found = trouble(KEYS[1], ARGV[1])
if found then return found end
if ARGV[1] == '' then redis.call('SET', KEYS[1], ARGV[2], 'NX') end
local behind = tonumber(redis.call('GET', KEYS[2]) or 0) - tonumber(redis.call('TIME')[1])
return { 'fine', redis.call('GET', KEYS[1]), string.format('%d', behind) }
