-- Ends a lead and publishes the result. A leader that lost its lead publishes nothing, because another replica leads.
-- KEYS: the leader's key; the result. ARGV: fence; time to live of the result in milliseconds; '1' and the result, or
-- '0' without one. Returns 0 if the lead was lost.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[2], 'fence', ARGV[1], 'result', ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return 1
