-- Changes the data of the session KEYS[1] and renews it, all or nothing. Nothing for a session that
-- is not there, 0 for data that would be too large, or else all fields and values.
-- ARGV: the prefix of indexes, seen, expires, the most bytes, the most keys, then changes.
local session, users = KEYS[1], ARGV[1]
local fields = redis.call('HGETALL', session)
if #fields == 0 then return false end
local before, after = {}, {}
for i = 1, #fields, 2 do
  if fields[i]:sub(1, 2) == 'd:' then
    before[fields[i]] = fields[i + 1]
    after[fields[i]] = fields[i + 1]
  end
end
local i = 6
while i <= #ARGV do
  if ARGV[i] == 'set' then
    after['d:' .. ARGV[i + 1]] = ARGV[i + 2]
    i = i + 3
  elseif ARGV[i] == 'delete' then
    after['d:' .. ARGV[i + 1]] = nil
    i = i + 2
  else
    after = {}
    i = i + 1
  end
end
local bytes, keys = 0, 0
for field, value in pairs(after) do
  bytes = bytes + #field - 2 + #value
  keys = keys + 1
end
if bytes > tonumber(ARGV[4]) or keys > tonumber(ARGV[5]) then return 0 end
for field in pairs(before) do
  if after[field] == nil then redis.call('HDEL', session, field) end
end
for field, value in pairs(after) do
  if before[field] ~= value then redis.call('HSET', session, field, value) end
end
renew(session, users, ARGV[2], ARGV[3])
return redis.call('HGETALL', session)
