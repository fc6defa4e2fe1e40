-- Stands before `look.lua` and `reserve.lua`: why this server cannot hold the ledger now, or nothing.
-- Answers { 'unreadable', why }, { 'evicts', policy, maxmemory } or { 'lost', the epoch that is there, or '' }.
-- `known` is the epoch of the account that the caller knows; any will do where that is empty.
local function danger(epoch_key, known)
  -- Read each time, and here: settings can change at any moment, and so can the server behind the address.
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
