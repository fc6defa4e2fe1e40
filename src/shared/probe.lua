-- The health check: writes as other scripts do, so that its success proves that Redis accepts writes.
-- KEYS: a string and a hash that nothing else uses.
redis.call('SET', KEYS[1], '1', 'EX', '60')
redis.call('HINCRBY', KEYS[2], 'looks', '1')
redis.call('EXPIRE', KEYS[2], '60')
return 1
