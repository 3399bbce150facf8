-- Notes for each of KEYS that it was seen, and when it expires. One that has ended stays so.
-- ARGV: the prefix of indexes, then seen and expires for each.
for i, session in ipairs(KEYS) do
  if redis.call('EXISTS', session) == 1 then
    renew(session, ARGV[1], ARGV[2 * i], ARGV[2 * i + 1])
  end
end
return 1
