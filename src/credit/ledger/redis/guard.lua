-- Prefixed to `look.lua` and `reserve.lua`. `trouble` returns nil if the ledger here can be used, or else why not:
-- { 'unreadable', why }, { 'evicts', policy, maxmemory } or { 'lost', the epoch in Redis, or '' }.
-- `known` is the epoch of the account that the caller knows; if it is empty, any account is accepted.
local function trouble(epoch_key, known)
  -- Checked before every reservation, because the settings, and the server behind the address, can change at any time.
  local info = redis.pcall('INFO', 'memory')
  if type(info) ~= 'string' then return { 'unreadable', type(info) == 'table' and info.err or 'no text' } end
  local maxmemory, policy = info:match('\nmaxmemory:(%d+)'), info:match('\nmaxmemory_policy:([%w-]+)')
  if not maxmemory or not policy then return { 'unreadable', 'maxmemory and maxmemory_policy are not in it' } end
  if maxmemory ~= '0' and policy ~= 'noeviction' then return { 'evicts', policy, maxmemory } end
  if known ~= '' then
    local epoch = redis.call('GET', epoch_key) or ''
    if epoch ~= known then return { 'lost', epoch } end
  end
end
