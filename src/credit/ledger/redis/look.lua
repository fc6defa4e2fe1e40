-- Looks whether reservations can be made. A caller who knows no epoch takes the one that is there, and begins one
-- where there is none.
-- KEYS: the epoch. ARGV: the epoch that the caller knows, or nothing; a new one.
-- Answers what `danger` answers, else { 'fine', the epoch }.
local found = danger(KEYS[1], ARGV[1])
if found then return found end
if ARGV[1] == '' then redis.call('SET', KEYS[1], ARGV[2], 'NX') end
return { 'fine', redis.call('GET', KEYS[1]) }
