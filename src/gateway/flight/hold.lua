-- Renews a lead. KEYS: who leads. ARGV: fence; milliseconds. Answers 1 unless it was lost.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
