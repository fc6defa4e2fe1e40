-- Renews a lead. KEYS: the leader's key. ARGV: fence; time to live in milliseconds. Returns 0 if the lead was lost.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
