-- Stands before every script. Versions in their one order, bytewise: Lua's own comparison goes by the server's locale, and
-- there are some where 'aa' sorts behind 'b'.
local function older(one, other)
  -- Epoch, file and the offset's upper half are nearly always the same.
  local from = string.sub(one, 1, 26) == string.sub(other, 1, 26) and 27 or 1
  for i = from, #one do
    local left, right = string.byte(one, i), string.byte(other, i)
    if left ~= right then return right ~= nil and left < right end
  end
  return #one < #other
end
