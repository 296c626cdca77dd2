-- memcached's own proxy before three memcached processes: a memcached built with --enable-proxy (its documentation
-- asks for 1.6.23 or newer; 1.6.18 does it, too).
-- memcached -p 11210 -o proxy_config=/etc/memcached-proxy.lua
-- The store needs nothing but MEMCACHED_SERVERS=127.0.0.1:11210
function mcp_config_pools()
  -- Below the store's `timeout` (0.5 s): a server that is silent holds up all replies behind it.
  mcp.backend_connect_timeout(0.2)
  mcp.backend_read_timeout(0.3)
  local servers = { '127.0.0.1:11211', '127.0.0.1:11212', '127.0.0.1:11213' }
  local backends = {}
  for index, server in ipairs(servers) do
    backends[index] = mcp.backend(server, '127.0.0.1', tonumber(server:match(':(%d+)$')))
  end
  -- As the store, pylibmc and PHP place keys: each finds a session where the others do.
  return mcp.pool(backends, { dist = mcp.dist_ring_hash, hash = mcp.dist_ring_hash.hash, omode = 'ketama' })
end

-- A plain route: every session has one home. With route_allsync `cas` decides on one copy only, and updates are lost.
function mcp_config_routes(pool)
  mcp.attach(mcp.CMD_ANY_STORAGE, function(request)
    return pool(request)
  end)
end
