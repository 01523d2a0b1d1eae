-- Who may say what to whom: agents to brokers, brokers to agents and adapters, adapters to brokers. Nothing else passes.
-- It runs on the agents' host and on each component, so that what leaves is judged, and what arrives is too.

local st = require "util.stanza";
local jid_host = require "util.jid".host;

local agents = assert(module:get_option_string("copilot_agents"), "copilot_agents is not set");
local brokers = module:get_option_set("copilot_brokers", {});
local adapters = module:get_option_set("copilot_adapters", {});
local max_text = module:get_option_number("copilot_max_frame_text", 0);

-- Before every other module that looks at what is sent.
local FIRST = 1000;
local RESOURCE = "co-pilot";
local FRAME = "urn:co-pilot:frame:1";
local PING = "urn:xmpp:ping";
local SESSION = "urn:ietf:params:xml:ns:xmpp-session";
local EVICT = "urn:co-pilot:evict:1";

local function may_reach(from, to)
	if from == agents then return brokers:contains(to); end
	if brokers:contains(from) then return to == agents or adapters:contains(to); end
	return adapters:contains(from) and brokers:contains(to);
end

-- A frame and nothing beside it, but for the date that a client adds when it says something again.
local function is_frame(stanza)
	local frame = stanza:get_child("frame", FRAME);
	return frame ~= nil and #stanza.tags <= 2 and #frame.tags == 0 and #frame:get_text() <= max_text;
end

local function is_message(stanza)
	return stanza.attr.type == "error" or is_frame(stanza);
end

local function is_presence(stanza)
	local kind = stanza.attr.type;
	return kind == nil or kind == "unavailable" or kind == "error";
end

-- Between a client or component and its server.
local function is_housekeeping(stanza)
	local kind, child = stanza.attr.type, stanza.tags[1];
	if kind == "result" or kind == "error" then return true; end
	local namespace = child and child.attr.xmlns;
	return (kind == "get" and namespace == PING) or (kind == "set" and namespace == SESSION);
end

-- What a broker asks of the agents' server, and nobody else may.
local function is_eviction(stanza, from)
	return stanza.name == "iq" and stanza.attr.type == "set" and stanza.attr.to == agents and brokers:contains(from)
		and #stanza.tags == 1 and stanza:get_child("evict", EVICT) ~= nil;
end

local function is_right(stanza, from, to)
	if stanza.name == "message" then return may_reach(from, to) and is_message(stanza); end
	if stanza.name == "presence" then return may_reach(from, to) and is_presence(stanza); end
	return false;
end

local function refuse(event)
	local stanza, origin = event.stanza, event.origin;
	module:log("debug", "Refused: %s", stanza:top_tag());
	if stanza.attr.type ~= "error" and stanza.attr.type ~= "result" and origin.send then
		origin.send(st.error_reply(stanza, "auth", "policy-violation", "This is not for you to send"));
	end
	return true;
end

-- What an agent says, before anything is done about it.
local function leaving(event)
	local stanza, origin = event.stanza, event.origin;
	local to = stanza.attr.to;
	if to == nil or to == agents or to == origin.username.."@"..agents then
		if stanza.name == "iq" and is_housekeeping(stanza) then return; end
		if stanza.name == "presence" and to == nil and is_presence(stanza) then return; end
		return refuse(event);
	end
	if is_right(stanza, agents, jid_host(to)) then return; end
	return refuse(event);
end

-- What is said to somebody on this host, whoever says it.
local function arriving(event)
	local stanza, origin = event.stanza, event.origin;
	local from = jid_host(stanza.attr.from or "");
	-- The agent's own server, and an agent to it.
	if module.host == agents and (from == nil or from == agents) then return; end
	if module.host == agents and stanza.name == "iq" and is_housekeeping(stanza)
		and (brokers:contains(from) or adapters:contains(from)) and stanza.attr.to == agents then
		return;
	end
	if module.host == agents and is_eviction(stanza, from) then return; end
	if is_right(stanza, from, module.host) then return; end
	-- The server's own answer to what a component said.
	if origin.type ~= "c2s" and stanza.name == "iq" and from == agents and stanza.attr.type == "result" then return; end
	return refuse(event);
end

if module.host == agents then
	for _, name in ipairs({ "message", "presence", "iq" }) do
		for _, kind in ipairs({ "bare", "full", "host", "self" }) do
			module:hook("pre-"..name.."/"..kind, leaving, FIRST);
		end
	end
	-- One agent, one place: whoever comes later takes it.
	module:hook("pre-resource-bind", function (event) event.resource = RESOURCE; end, FIRST);
end

for _, name in ipairs({ "message", "presence", "iq" }) do
	for _, kind in ipairs({ "bare", "full", "host" }) do
		module:hook(name.."/"..kind, arriving, FIRST);
	end
end
