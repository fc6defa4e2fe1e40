-- Gives a lead up. Who has lost it leaves nothing: another leads by now.
-- KEYS: who leads; what has landed. ARGV: fence; how long what has landed is kept, in milliseconds; '1' and what
-- has landed, or '0'. Answers 1 unless the lead was lost.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1])
if ARGV[3] == '1' then
  redis.call('HSET', KEYS[2], 'fence', ARGV[1], 'result', ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
return 1
