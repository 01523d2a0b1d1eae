-- A broker has the streams of an agent closed that it serves no more; nobody else is heard.

-- Without the guard a component could say that it is a broker.
module:depends("copilot_guard");

local st = require "util.stanza";
local timer = require "util.timer";

local brokers = module:get_option_set("copilot_brokers", {});

local EVICT = "urn:co-pilot:evict:1";
local REASON = { condition = "not-authorized", text = "The broker serves this agent no more" };
-- Who has logged in must take its place within this time: what has none could not be found.
local BIND_SECONDS = 20;

-- Those that wait for a lost connection are among them.
local function streams_of(agent)
	local user = prosody.hosts[module.host].sessions[agent];
	local streams = {};
	for _, session in pairs(user and user.sessions or {}) do streams[#streams + 1] = session; end
	return streams;
end

module:hook("iq-set/host/"..EVICT..":evict", function (event)
	local stanza, origin = event.stanza, event.origin;
	if origin.type ~= "component" or not brokers:contains(stanza.attr.from) then
		origin.send(st.error_reply(stanza, "auth", "forbidden"));
		return true;
	end
	local agent = stanza.tags[1].attr.agent;
	local streams = agent and streams_of(agent) or {};
	for _, session in ipairs(streams) do session:close(REASON); end
	origin.send(st.reply(stanza):tag("evict", { xmlns = EVICT, closed = tostring(#streams) }));
	return true;
end);

module:hook("authentication-success", function (event)
	local session = event.session;
	timer.add_task(BIND_SECONDS, function ()
		if session.type == "c2s_unbound" and not session.destroyed then session:close("connection-timeout"); end
	end);
end);
