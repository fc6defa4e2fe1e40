-- Writes as other scripts do, so that its success shows that Redis can be written.
-- KEYS: a text and a hash that nothing else uses.
redis.call('SET', KEYS[1], '1', 'EX', '60')
redis.call('HINCRBY', KEYS[2], 'looks', '1')
redis.call('EXPIRE', KEYS[2], '60')
return 1
