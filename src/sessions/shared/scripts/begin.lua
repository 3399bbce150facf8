-- Begins the session KEYS[1], and ends KEYS[2], which the browser had before, if there is one.
-- ARGV: the prefix of indexes, when the session expires, fields and values.
local session, previous, users, expires = KEYS[1], KEYS[2], ARGV[1], ARGV[2]
redis.call('HSET', session, unpack(ARGV, 3))
if previous then
  -- Data is inherited from nobody and from the same user with the same password: never from
  -- somebody else.
  local login = redis.call('HGET', previous, 'login')
  if not login or login == redis.call('HGET', session, 'login') then
    local old = redis.call('HGETALL', previous)
    for i = 1, #old, 2 do
      if old[i]:sub(1, 2) == 'd:' then redis.call('HSET', session, old[i], old[i + 1]) end
    end
  end
  finish(previous, users)
end
enter(session, users, expires)
return 1
