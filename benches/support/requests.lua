-- The load every proxy gets: one request for each line `PATH<tab>COOKIE` of a file, again and again.
-- Arguments: the file, the Host header, and milliseconds to wait before each request.
-- The requests are made ready beforehand, so that the load generator costs the same for any number of them.

local ready, turn = {}, 0

function init(arguments)
  local host, pause = arguments[2], tonumber(arguments[3])
  for line in io.lines(arguments[1]) do
    local path, cookie = line:match("^(%S+)\t(%S+)$")
    ready[#ready + 1] = table.concat({
      "GET " .. path .. " HTTP/1.1",
      "Host: " .. host,
      "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
      "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
      "Cookie: sessionid=" .. cookie,
      "", "" }, "\r\n")
  end
  if pause > 0 then
    -- Around the mean, so that the connections do not fall into step.
    function delay() return math.random(0, 2 * pause) end
  end
end

function request()
  turn = turn % #ready + 1
  return ready[turn]
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("measured %d %d %d %d %d %d %d\n",
    summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
