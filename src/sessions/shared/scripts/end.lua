-- Ends the session KEYS[1]; 1 if there was one. ARGV: the prefix of indexes and, for a session that
-- was found to be over, when it was last seen and when it expires: if it was used by another
-- gateway since, it is not over.
if ARGV[2] and (redis.call('HGET', KEYS[1], 'seen') ~= ARGV[2]
    or redis.call('HGET', KEYS[1], 'expires') ~= ARGV[3]) then
  return 0
end
return finish(KEYS[1], ARGV[1])
