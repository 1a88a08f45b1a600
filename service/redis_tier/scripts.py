"""The Lua that Redis runs: what must be decided and done in one step, seen by nobody half-way.

Lua compares numbers as doubles and strings by locale, so versions are compared as two halves.
"""

from enum import StrEnum


class ScriptName(StrEnum):
    """WRITE: set records unless a newer one is there. DISCARD: remove a value that is still the
    one given."""

    WRITE = "write"
    DISCARD = "discard"


# KEYS: the record's key and the fields' key of each item; they share a slot.
# ARGV: the record and the fields of each item, fields empty for a deletion; last the seconds a
# deletion is remembered. Answers for each item: 1 written, 0 a newer record stood, 2 all of it
# was there already.
_WRITE = """
local function version(record)
  local a, b, c, d, e, f, g, h = string.byte(record, 25, 32)
  return e + f * 256 + g * 65536 + h * 16777216, a + b * 256 + c * 65536 + d * 16777216
end
local function stands(old, new)
  if #old < 40 or string.sub(old, 1, 5) ~= string.sub(new, 1, 5) then return false end
  if string.sub(old, 9, 16) ~= string.sub(new, 9, 16) then return false end
  local old_high, old_low = version(old)
  local new_high, new_low = version(new)
  return old_high > new_high or (old_high == new_high and old_low > new_low)
end
local written = {}
for at = 1, #KEYS, 2 do
  local record, fields = ARGV[at], ARGV[at + 1]
  if stands(redis.call('GETRANGE', KEYS[at], 0, 39), record) then
    written[#written + 1] = 0
  elseif fields ~= '' and redis.call('GET', KEYS[at]) == record
      and redis.call('GET', KEYS[at + 1]) == fields then
    written[#written + 1] = 2
  else
    if fields == '' then
      redis.call('SET', KEYS[at], record, 'EX', ARGV[#ARGV])
      redis.call('DEL', KEYS[at + 1])
    else
      redis.call('SET', KEYS[at], record)
      redis.call('SET', KEYS[at + 1], fields)
    end
    written[#written + 1] = 1
  end
end
return written
"""

# KEYS: one key. ARGV: the value it should have. Answers 1 where it was removed.
_DISCARD = """
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
"""

SCRIPTS = {ScriptName.WRITE: _WRITE, ScriptName.DISCARD: _DISCARD}
