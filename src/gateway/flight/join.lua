-- Takes the lead of a flight if no replica has it.
-- KEYS: the leader's key; the result's key; the key of the last fence of all flights.
-- ARGV: time to live of the lead in milliseconds; '1' if any published result is accepted; the fence of the leader that
-- was waited for, or ''.
-- Returns { 'landed', result }, { 'wait', fence } or { 'lead', fence }.
local landed = redis.call('HGET', KEYS[2], 'fence')
if landed and (ARGV[2] == '1' or (ARGV[3] ~= '' and tonumber(landed) >= tonumber(ARGV[3]))) then
  return { 'landed', redis.call('HGET', KEYS[2], 'result') }
end
local leads = redis.call('GET', KEYS[1])
if leads then return { 'wait', leads } end
local fence = tostring(redis.call('INCR', KEYS[3]))
redis.call('SET', KEYS[1], fence, 'PX', ARGV[1])
return { 'lead', fence }
