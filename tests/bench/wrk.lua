-- What wrk asks, and how it tells what it saw: `wrk -s wrk.lua URL -- TOKEN PAUSE ADDRESSES SECRET`.
--   TOKEN      of who asks; "-" for nobody
--   PAUSE      milliseconds that each connection waits after an answer, on average; 0 for none
--   ADDRESSES  that pass by in turns, as a proxy names them; 0 for none
--   SECRET     of the proxy

local pause, addresses, count = 0, 0, 0

function init(args)
   if args[1] ~= "-" then
      wrk.headers["Authorization"] = "Bearer " .. args[1]
   end
   pause = tonumber(args[2])
   addresses = tonumber(args[3])
   if addresses > 0 then
      wrk.headers["X-Miauflix-Proxy-Secret"] = args[4]
   end
   if pause > 0 then
      -- Not all at the same beat.
      delay = function()
         return math.random(0, 2 * pause)
      end
   end
   if addresses > 0 then
      request = function()
         local n = count % addresses
         count = count + 1
         wrk.headers["X-Forwarded-For"] =
            string.format("100.%d.%d.%d", 64 + math.floor(n / 65536), math.floor(n / 256) % 256, n % 256)
         -- Each fourth shows a token that is none, as who guesses would.
         if n % 4 == 0 then
            wrk.headers["Authorization"] = "Bearer made.up." .. n
            return wrk.format(nil, "/api/me")
         end
         wrk.headers["Authorization"] = nil
         return wrk.format()
      end
   end
end

function done(summary, latency, requests)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "seconds": %f, "p50": %f, "p99": %f, "max": %f, "refused": %d, "failed": %d}\n',
      summary.requests, summary.duration / 1e6,
      latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
      errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
