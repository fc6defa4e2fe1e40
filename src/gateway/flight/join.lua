-- Takes the lead of a flight if nobody has it.
-- KEYS: who leads; what has landed; the last fence.
-- ARGV: how long the lead lasts unless it is renewed, in milliseconds; '1' if anything that has landed will do; the
-- fence of who was waited for, or nothing.
-- Answers { 'landed', what }, { 'wait', fence } or { 'lead', fence }.
local landed = redis.call('HGET', KEYS[2], 'fence')
if landed and (ARGV[2] == '1' or (ARGV[3] ~= '' and tonumber(landed) >= tonumber(ARGV[3]))) then
  return { 'landed', redis.call('HGET', KEYS[2], 'result') }
end
local leads = redis.call('GET', KEYS[1])
if leads then return { 'wait', leads } end
local fence = tostring(redis.call('INCR', KEYS[3]))
redis.call('SET', KEYS[1], fence, 'PX', ARGV[1])
return { 'lead', fence }
