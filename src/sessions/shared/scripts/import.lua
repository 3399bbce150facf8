-- Puts the session KEYS[1] here as another store has it, unless it was seen here later.
-- ARGV: the prefix of indexes, seen, expires, fields and values.
local session, users = KEYS[1], ARGV[1]
local seen = tonumber(redis.call('HGET', session, 'seen'))
if seen and seen > tonumber(ARGV[2]) then return 0 end
finish(session, users)
redis.call('HSET', session, unpack(ARGV, 4))
enter(session, users, ARGV[3])
return 1
