-- What the scripts have in common. `users` is the prefix of the index of a user's sessions.

-- Which user a session belongs to, as the key of the user's index; none for anonymous visitors.
local function index_of(session, users)
  local login = redis.call('HGET', session, 'login')
  return login and users .. login:match('^%-?%d+')
end

-- Writes a moment that is later than the one that is there.
local function later(session, field, moment)
  local old = tonumber(redis.call('HGET', session, field))
  if old and old >= tonumber(moment) then return false end
  redis.call('HSET', session, field, moment)
  return true
end

-- Has Redis drop the session when it expires, and the user's index not before the last of them.
local function expire(session, users, expires)
  redis.call('EXPIREAT', session, expires)
  local index = index_of(session, users)
  if not index then return end
  local left = tonumber(expires) - tonumber(redis.call('TIME')[1])
  if redis.call('TTL', index) < left then redis.call('EXPIREAT', index, expires) end
end

-- A session that is there was seen, and lives until `expires` at least.
local function renew(session, users, seen, expires)
  later(session, 'seen', seen)
  if later(session, 'expires', expires) then expire(session, users, expires) end
end

-- Enters a session into the index of its user, and takes out a few of those that are gone: what
-- expires by itself leaves its entry behind.
local function enter(session, users, expires)
  local index = index_of(session, users)
  if index then
    for _, other in ipairs(redis.call('SRANDMEMBER', index, 3)) do
      if redis.call('EXISTS', other) == 0 then redis.call('SREM', index, other) end
    end
    redis.call('SADD', index, session)
  end
  expire(session, users, expires)
end

-- Ends a session; says whether there was one.
local function finish(session, users)
  local index = index_of(session, users)
  if index then redis.call('SREM', index, session) end
  return redis.call('DEL', session)
end
