-- Looks whether reservations can be made. A caller who knows no epoch takes the one that is there, and begins one
-- where there is none.
-- KEYS: the epoch; the time of the latest reservation. ARGV: the epoch that the caller knows, or nothing; a new one.
-- Answers what `danger` answers, else { 'fine', the epoch, seconds that the clock is behind the latest reservation }.
local found = danger(KEYS[1], ARGV[1])
if found then return found end
if ARGV[1] == '' then redis.call('SET', KEYS[1], ARGV[2], 'NX') end
local behind = tonumber(redis.call('GET', KEYS[2]) or 0) - tonumber(redis.call('TIME')[1])
return { 'fine', redis.call('GET', KEYS[1]), string.format('%d', behind) }
