-- Changes the data of the session KEYS[1] and renews it, all or nothing. Nothing for a session that
-- is not there, 0 for data that would be too large, 1 when something to be swapped is not what it was,
-- or else all fields and values.
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
  elseif ARGV[i] == 'swap' then
    -- A key, then twice whether there is a value, and which: before and afterwards.
    local field = 'd:' .. ARGV[i + 1]
    local from = ARGV[i + 2] == '1' and ARGV[i + 3] or nil
    if after[field] ~= from then return 1 end
    after[field] = ARGV[i + 4] == '1' and ARGV[i + 5] or nil
    i = i + 6
  else
    -- What begins with `_` is not an application's to clear.
    for field in pairs(after) do
      if field:sub(3, 3) ~= '_' then after[field] = nil end
    end
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
