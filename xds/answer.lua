-- Reading an answer as it passes: the usage that the provider gave, the service tier, and whether
-- it is an answer at all. provider/usage.go, answer.go, responses.go, messages.go and fault.go read
-- the same names in the same places. Only a possible beginning of a token or an event is kept
-- between pieces.

-- The work is bounded, whatever a provider sends: the bytes that are kept, and the brackets and
-- strings that are read.
local LONGEST, MOST = 8192, 200000
local MAX_TOKENS = 100000000
local MARK = "\239\187\191" -- of the byte order
local QUOTE, BACKSLASH, COLON, BRACE, BRACKET, CR, LF = 34, 92, 58, 123, 91, 13, 10
local byte = string.byte -- LuaJIT compiles loops over bytes, but not over string.find

-- The place of a value, by the names that lead to it. Other values are skipped.
local DETAILS, TIMES, TOOLS = {}, {}, {}
local RUN = {prompt_tokens_details = DETAILS, completion_tokens_details = DETAILS,
  input_tokens_details = DETAILS, output_tokens_details = DETAILS, cache_creation = TIMES, server_tool_use = TOOLS}
local RUNS = {element = RUN} -- the usage of each run of the model for one answer
local USAGE = {iterations = RUNS}
for name, place in pairs(RUN) do USAGE[name] = place end
local ERROR = {}
local CHOICE = {usage = USAGE, error = ERROR}
local CHOICES, CONTENT = {element = CHOICE}, {element = {}}
local ANSWER = {} -- an object that is a part of an answer

-- The outermost object by endpoint, because each has a different shape.
local CHAT = {usage = USAGE, error = ERROR, choices = CHOICES, data = CONTENT, x_groq = {usage = USAGE, error = ERROR}}
local RESPONSE = {usage = USAGE, error = ERROR, output = CONTENT}
local RESPONSES = {usage = USAGE, error = ERROR, output = CONTENT, item = ANSWER, response = RESPONSE}
local START = {usage = USAGE} -- the message that a stream begins with
local MESSAGES = {usage = USAGE, error = ERROR, content = CONTENT, content_block = ANSWER, delta = ANSWER, message = START}
local COUNT = {usage = USAGE, error = ERROR}
local ITEMS = {usage = USAGE, error = ERROR} -- of a response's input; or that one is deleted
-- Of paths of which the gateway knows nothing: all places that a usage may have.
local ENCLOSED = {usage = USAGE, error = ERROR}
local PASSED = {usage = USAGE, error = ERROR, response = ENCLOSED, message = START, choices = CHOICES, x_groq = CHAT.x_groq}
local TOPS = {["/chat/completions"] = CHAT, ["/completions"] = CHAT, ["/embeddings"] = CHAT,
  ["/responses"] = RESPONSES, ["/responses/compact"] = RESPONSES, ["/responses/input_tokens"] = COUNT,
  ["/messages"] = MESSAGES, ["/messages/count_tokens"] = COUNT}

-- top_of is the outermost object of answers at a path. A response that is asked for by its id has the
-- form of one that is made.
local function top_of(path, method)
  if TOPS[path] then return TOPS[path] end
  if string.sub(path, 1, 11) ~= "/responses/" then return PASSED end
  return (method == "DELETE" or string.sub(path, -12) == "/input_items") and ITEMS or RESPONSES
end

-- The counts of a usage object by their names. Of several names for one count, the largest value is
-- taken.
local COUNTS = {prompt_tokens = "prompt", completion_tokens = "completion", total_tokens = "total"}
local LARGER = {input_tokens = "prompt", output_tokens = "completion"}
local PARTS = {
  cached_tokens = "cached", prompt_cache_hit_tokens = "cached", cache_read_input_tokens = "cached",
  cache_read_tokens = "cached", num_cached_tokens = "cached",
  cache_write_tokens = "written", cache_creation_input_tokens = "written", cache_creation_tokens = "written",
  cache_write_input_tokens = "written", cached_creation_tokens = "written",
  reasoning_tokens = "reasoning", thinking_tokens = "reasoning",
}

-- The names of wanted values that are not objects.
local WANTED = {service_tier = true, speed = true, error = true, code = true, type = true, object = true, finish_reason = true, status = true,
  ephemeral_1h_input_tokens = true, input_tokens = true, id = true}
for name in pairs(COUNTS) do WANTED[name] = true end
for name in pairs(LARGER) do WANTED[name] = true end
for name in pairs(PARTS) do WANTED[name] = true end

local function unquoted(text)
  return string.match(text, '^"(.*)"$')
end

-- whole is a whole number from 0 to MAX_TOKENS, as 31, 31.0, 3.1e1 or "31"; nil for anything else.
local function whole(text)
  if #text < 9 and string.find(text, "^[1-9]%d*$") then return tonumber(text) end
  text = unquoted(text) or text
  if #text > 32 or not string.find(text, "^%-?%d[%d%.eE%+%-]*$") or string.find(text, "^%-?0%d") or string.find(text .. "e", "%.%D") then return nil end
  local number = tonumber(text)
  if not number or number < 0 or number > MAX_TOKENS or number % 1 ~= 0 then return nil end
  return number == 0 and 0 or number
end

local function tierOf(text)
  if text == "null" or text == '""' then return nil end
  local name = string.sub(unquoted(text) or text, 1, 32)
  return string.lower((string.gsub(name, "[^%w_%.%-]", "?")))
end

local function codeOf(text)
  if not string.find(text, '^["%-%d]') then return nil end
  local code = string.sub(string.gsub(unquoted(text) or text, "[^%w_%.%-]", "_"), 1, 64)
  return code ~= "" and code or nil
end

local NO_ERROR = {null = true, ["false"] = true, ["0"] = true, ['""'] = true}

local function fail(r)
  r.failed, r.news = true, true
end

-- Types of events, and states of a whole response, that show the progress of an answer.
local ENDS = {
  [RESPONSES] = {['"response.completed"'] = true, ['"response.incomplete"'] = true, ['"response.failed"'] = true},
  [MESSAGES] = {['"message_stop"'] = true}, [COUNT] = {}, [CHAT] = {}, [ITEMS] = {},
  [PASSED] = {['"message_stop"'] = true, ['"response.completed"'] = true, ['"response.incomplete"'] = true, ['"response.failed"'] = true},
}
local STATES = {['"completed"'] = true, ['"incomplete"'] = true, ['"cancelled"'] = true, ['"in_progress"'] = true, ['"queued"'] = true, ['"failed"'] = true}

-- take_response takes over the id of a response and how far it is. The first id counts.
local function take_response(r, name, text)
  if name == "id" and not r.response and #text <= 258 and string.find(text, '^"[%w%p]+"$') and not string.find(text, "\\", 1, true) then
    r.response, r.news = unquoted(text), true
  elseif name == "status" and STATES[text] then
    r.state, r.news = unquoted(text), true
  end
end

-- larger takes over a count if it is larger than the known one.
local function larger(r, part, text)
  local number = whole(text)
  if number and number > (r.figures[part] or -1) then r.figures[part] = number end
end

-- take_typed takes over a value of the outermost object that only answers with typed events have.
local function take_typed(r, name, text)
  if name == "type" then
    r.type = text
  elseif name == "status" and r.top == RESPONSES then
    r.answered = r.answered or STATES[text] and text ~= '"failed"' or false
  elseif name == "input_tokens" and r.top == COUNT then
    r.answered = r.answered or whole(text) ~= nil
  elseif name == "object" and r.top == ITEMS then
    r.answered = r.answered or unquoted(text) ~= nil
  end
end

-- conclude takes over the type of an event once all of it was read, because the last of several counts.
local function conclude(r)
  if ENDS[r.top][r.type] then
    r.ended, r.news = true, true
    if r.top == RESPONSES then r.state = string.match(r.type, "%.(%a+)") end
    if r.type == '"response.failed"' then fail(r) end
  end
end

-- take takes over a value that is no object or array, by its place and name.
local function take(r, place, name, text)
  local top, counts = place == r.top, place == USAGE or place == RUN
  if top then take_typed(r, name, text) end
  if top and r.top == RESPONSES and r.whole or place == RESPONSE then take_response(r, name, text) end
  if counts and COUNTS[name] then
    local number = whole(text)
    r.figures[COUNTS[name]] = number or r.figures[COUNTS[name]]
    r.withCache = r.withCache or number and place == USAGE
  elseif counts and LARGER[name] then
    larger(r, LARGER[name], text)
  elseif (counts or place == DETAILS) and PARTS[name] then
    larger(r, PARTS[name], text)
  elseif place == TIMES and name == "ephemeral_1h_input_tokens" then
    r.figures.hour = whole(text) or r.figures.hour
  elseif place == TOOLS then
    local number = whole(text)
    if number then r.figures.tools = math.min((r.figures.tools or 0) + number, MAX_TOKENS) end
  elseif name == "service_tier" and (top or place == RESPONSE or place == ENCLOSED or place == USAGE) then
    local tier = tierOf(text)
    if tier and (place ~= USAGE or not r.tierOnTop) then r.tier, r.tierOnTop = tier, place ~= USAGE end
  elseif place == USAGE and name == "speed" then
    r.fast = r.fast or text == '"fast"'
  elseif name == "error" and place.error then
    if not NO_ERROR[text] then fail(r) end
  elseif place == ERROR then
    if name == "code" then r.code = codeOf(text) end
    if name == "type" then r.kind = codeOf(text) end
  elseif place == CHOICE and name == "finish_reason" and text == '"error"' then
    fail(r)
  elseif top and name == "code" then
    r.topCode = codeOf(text)
  elseif top and text == '"error"' and (name == "type" or name == "object") then
    fail(r)
    r.bare = true
  end
end

-- sum adds the figures of one run of the model to those of the others.
local function sum(r)
  r.figures.total = nil
  for part, number in pairs(r.figures) do r.runs[part] = math.min((r.runs[part] or 0) + number, MAX_TOKENS) end
  r.figures = r.outer
end

-- raise raises the figures of a usage to those of its runs, of which it leaves some out.
local function raise(r)
  if not next(r.runs) then return end
  r.figures.total = nil
  for part, number in pairs(r.runs) do r.figures[part] = math.max(r.figures[part] or 0, number) end
end

-- grow takes over the figures of a message so far. None of them gets smaller. The first ones cover
-- the prompt only, because the length of the answer is not known yet.
local function grow(r)
  local now, all = r.figures, r.believed or {}
  if r.top == PASSED and not r.withCache and now.prompt then
    now.prompt = math.min(now.prompt + (now.cached or 0) + (now.written or 0), MAX_TOKENS)
  end
  if r.starting then now.completion = nil end
  for _, part in ipairs({"prompt", "completion", "total", "cached", "written", "reasoning", "hour", "tools"}) do
    if now[part] and now[part] > (all[part] or -1) then all[part] = now[part] end
  end
  r.believed, r.news = all, true
  local cache = r.top == ITEMS and 0 or (all.cached or 0) + (all.written or 0)
  r.full = r.full or all.completion and all.prompt and all.prompt + cache > 0
end

-- believe takes over the figures of a complete usage object, and keeps details of earlier ones that
-- it lacks, as gateway.Figures does. Figures without prompt or completion count until better ones
-- come.
local function believe(r)
  raise(r)
  if r.fast and not r.tierOnTop then r.tier = "fast" end
  if r.top == MESSAGES or r.top == COUNT or r.top == ITEMS or r.top == PASSED then return grow(r) end
  local now, before = r.figures, r.believed
  local prompt, completion, total = now.prompt or 0, now.completion, now.total or 0
  local full
  if completion then full = prompt > 0 or not now.prompt and total > completion else full = prompt > 0 and total > prompt end
  if not full and (r.full or prompt == 0 and total == 0) then return end
  if before and r.full == full then
    if now.prompt == before.prompt and now.completion == before.completion then now.total = now.total or before.total end
    now.cached, now.written = now.cached or before.cached, now.written or before.written
    now.reasoning, now.hour, now.tools = now.reasoning or before.reasoning, now.hour or before.hour, now.tools or before.tools
  end
  r.believed, r.full, r.news = now, full, true
end

-- begin begins a JSON text of an answer.
local function begin(r)
  r.depth, r.rest, r.over = 0, "", false
  r.next, r.inString, r.value, r.bare, r.topCode, r.type = nil, false, false, false, nil, nil
end

local function open(r, array)
  local outer, place = r.places[r.depth], r.next
  if r.depth == 0 then
    place = not array and r.top
  elseif outer and outer.element then
    place = not array and outer.element
    r.answered = r.answered or not array and outer ~= RUNS
  elseif place and array ~= (place.element ~= nil) then
    place = nil
  end
  if place == USAGE then r.figures, r.runs, r.fast, r.withCache, r.starting = {}, {}, false, false, outer == START end
  if place == RUNS then r.runs = {} end
  if place == RUN then r.outer, r.figures = r.figures, {} end
  r.answered = r.answered or place == ANSWER
  r.depth, r.next = r.depth + 1, nil
  r.places[r.depth] = place or false
end

local function close(r)
  local place = r.places[r.depth]
  if place == USAGE then believe(r) elseif place == RUN then sum(r) end
  if place == r.top then
    conclude(r)
    if r.bare then r.code = r.code or r.topCode end
  end
  r.depth = math.max(r.depth - 1, 0)
  r.over = r.depth == 0
  r.done = r.done or r.over and r.ended
end

-- stringEnd is where a string's closing quote is from at on, nil if it has not come.
local function stringEnd(s, at)
  local length = #s
  while at <= length do
    local b = byte(s, at)
    if b == QUOTE then return at end
    at = at + (b == BACKSLASH and 2 or 1)
  end
  return nil
end

-- mark is where the next bracket or quote is from at on, and which, nil if there is none.
local function mark(s, at)
  for i = at, #s do
    local b = byte(s, i)
    if b == QUOTE or b == BRACE or b == 125 or b == BRACKET or b == 93 then return i, b end
  end
  return nil
end

-- filled is where the first byte that is not white space is from at on, and which, nil if there
-- is none.
local function filled(s, at)
  for i = at, #s do
    local b = byte(s, i)
    if b ~= 32 and b ~= LF and b ~= CR and b ~= 9 then return i, b end
  end
  return nil
end

-- member reads the string from at to last, which may be a name, and the value if that is wanted.
-- It returns where to go on, nil if more must come before that is known.
local function member(r, s, place, at, last)
  local colon, b = filled(s, last + 1)
  if not colon then return nil end
  if b ~= COLON then return last + 1 end
  local value, first = filled(s, colon + 1)
  if not value then return nil end
  local name = string.sub(s, at + 1, last - 1)
  if place == ERROR then fail(r) end
  if first == BRACE or first == BRACKET then
    r.next = place[name]
    if place == r.top and name == "type" then r.type = nil end
    return value
  end
  if not WANTED[name] and place ~= TOOLS then
    r.value = first == QUOTE
    return value
  end
  local ends
  if first == QUOTE then
    ends = stringEnd(s, value + 1)
  else
    ends = string.find(s, "[%s,}%]]", value)
    ends = ends and ends - 1
  end
  if not ends then return nil end
  take(r, place, name, string.sub(s, value, ends))
  return ends + 1
end

-- text reads the string that begins at at, and returns where to go on. Without that, all of it
-- that is needed is kept for what comes next.
local function text(r, s, at)
  local place = r.places[r.depth]
  if not place or place.element or r.value then
    r.value, r.inString = false, true
    return at + 1
  end
  local last = stringEnd(s, at + 1)
  local on = last and member(r, s, place, at, last)
  if on then return on end
  if #s - at < LONGEST then
    r.rest = string.sub(s, at)
    return nil
  end
  r.inString = true
  return at + 1
end

-- restOfString passes the rest of an unneeded string, and returns where to continue.
local function restOfString(r, s, at)
  local last = stringEnd(s, at)
  if last then
    r.inString = false
    return last + 1
  end
  local from = #s
  while from >= at and byte(s, from) == BACKSLASH do from = from - 1 end -- a pattern would take quadratic time on a long run
  if (#s - from) % 2 == 1 then r.rest = "\\" end -- half an escape
  return nil
end

-- feed reads the next piece of a JSON text.
local function feed(r, piece)
  local s, at = r.rest .. piece, 1
  r.rest = ""
  while not r.over and r.tokens < MOST do
    if r.inString then
      at = restOfString(r, s, at)
      if not at then return end
    end
    local b
    at, b = mark(s, at)
    if not at then return end
    r.tokens = r.tokens + 1
    if b == QUOTE then
      at = text(r, s, at)
      if not at then return end
    else
      if b == BRACE or b == BRACKET then open(r, b == BRACKET) else close(r) end
      at = at + 1
    end
  end
end

-- alike reports whether at each place where a text begins in some events, the same other text
-- follows.
local function alike(events, text, whole)
  local at = string.find(events, text, 1, true)
  while at do
    if string.sub(events, at, at + #whole - 1) ~= whole then return false end
    at = string.find(events, text, at + #text, true)
  end
  return true
end

-- Texts of which one is in every event that ends an answer or tells its usage, but in few others.
local NEEDED = {
  [RESPONSES] = {'"response"', '.completed"', '.incomplete"', '.failed"'}, [MESSAGES] = {'"message_stop"'}, [COUNT] = {}, [CHAT] = {}, [ITEMS] = {},
  [PASSED] = {'"response"', '.completed"', '.incomplete"', '.failed"', '"message_stop"'},
}

local function has(events, texts)
  for _, text in ipairs(texts) do
    if string.find(events, text, 1, true) then return true end
  end
  return false
end

-- needless reports whether some events have nothing to read, as most events with text.
local function needless(r, events)
  return r.answered and alike(events, '"usage"', '"usage":null') and not string.find(events, '"error"', 1, true)
    and not has(events, NEEDED[r.top])
    and alike(events, '"service_tier"', r.tierText or '"service_tier":null')
end

-- keep keeps data of an unfinished event. If it gets too long, it is read at once.
local function keep(r, data)
  r.event = (r.event or "") .. data
  if #r.event < LONGEST then return end
  if r.long == nil then
    r.long = string.find(r.event, "^%s*{") ~= nil
    begin(r)
  end
  if r.long then feed(r, r.event) end
  r.event = ""
end

-- ended reads a complete event.
local function ended(r)
  local event = r.event
  if r.long then
    feed(r, event)
  elseif r.long == nil and event then
    if string.find(event, "^%s*%[DONE%]%s*$") then
      r.done, r.news = true, true
    elseif string.find(event, "^%s*{") and not needless(r, event) then
      begin(r)
      feed(r, event)
      r.tierText = string.match(event, '^.*("service_tier":"[^"\\]*")') or r.tierText
      if r.tierText and tierOf(string.sub(r.tierText, 16)) ~= r.tier then r.tierText = nil end
    end
  end
  r.event, r.long = nil, nil
end

-- line reads a line of a stream of events, or a part of one that is long.
-- Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
local function line(r, text, whole)
  if r.lineIs == nil then
    local data = text == "data" and "" or string.match(text, "^data: ?(.*)")
    if text == "" and whole then ended(r) end
    r.lineIs = data and "data" or "other"
    text = data and r.event and "\n" .. data or data
  end
  if r.lineIs == "data" then keep(r, text) end
  if whole then r.lineIs = nil end
end

-- events reads the next piece of a stream of events.
local function events(r, piece)
  local whole = r.line == "" and not r.event and not r.lineIs and string.sub(piece, -2) == "\n\n"
  if whole and needless(r, piece) and not string.find(piece, "[DONE]", 1, true) then return end
  local s, at = r.line .. piece, 1
  while not r.done do
    local last = string.find(s, "[\r\n]", at)
    local cr = last and string.byte(s, last) == CR
    if not last or cr and last == #s then break end -- an LF may belong to it
    line(r, string.sub(s, at, last - 1), true)
    at = last + 1
    if cr and string.byte(s, at) == LF then at = at + 1 end
  end
  r.line = r.done and "" or string.sub(s, at)
  if #r.line > LONGEST then
    local last = string.byte(r.line, -1) == CR and -2 or -1
    local part = string.sub(r.line, 1, last)
    r.line = last == -2 and "\r" or ""
    line(r, part, false)
  end
end

-- read reads the next piece of an answer. The answer's first character shows its form.
local function read(r, piece)
  if r.reads then return r.reads(r, piece) end
  r.head = r.head .. piece
  if #r.head < 3 and string.sub(MARK, 1, #r.head) == r.head then return end
  r.head = string.gsub(r.head, "^" .. MARK, "")
  local first = string.match(r.head, "%S")
  if not first and #r.head < LONGEST then return end
  r.whole = first == "{" or first == "["
  r.reads = r.whole and feed or events
  r.reads(r, r.head)
end

-- finish reads what is unfinished at the end.
local function finish(r)
  if r.reads == events then events(r, "\n\n") end
end

-- answer begins to read one of an endpoint.
local function answer(path, method)
  local r = {head = "", line = "", places = {}, tokens = 0, top = top_of(path, method)}
  r.stored = not TOPS[path] and r.top ~= PASSED
  r.answered = r.top == PASSED
  begin(r)
  return r
end

-- noted is what was read so far, in the format of gateway.ReadSeen.
local function noted(r, over)
  local f = r.believed or {}
  local note = (f.prompt or "-") .. " " .. (f.cached or "-") .. " " .. (f.completion or "-") .. " " .. (f.reasoning or "-")
    .. " " .. (f.total or "-") .. " " .. (f.written or "-")
  if f.hour then note = note .. " hour=" .. f.hour end
  if f.tools then note = note .. " tools=" .. f.tools end
  if r.tier then note = note .. " tier=" .. r.tier end
  if r.response then note = note .. " response=" .. r.response end
  if r.state then note = note .. " state=" .. r.state end
  local answered = r.answered or r.stored and (r.state or r.full) -- one that has failed is an answer to whoever asks for it
  if r.failed and not (r.stored and answered) then note = note .. " error=" .. (r.code or r.kind or "") .. (r.answered and " text" or "") end
  if over and not answered and not r.full and r.tokens < MOST then note = note .. " none" end
  return r.done and note .. " done" or note
end
