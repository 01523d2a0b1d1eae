-- Agents log in with their identities, which the broker judges: yes only where it says so, within a few seconds.

-- Without the guard nobody gets in: where it does not load, neither does this.
module:depends("copilot_guard");

local async = require "util.async";
local formencode = require "util.http".formencode;
local http = require "net.http";
local new_sasl = require "util.sasl".new;
local timer = require "util.timer";

local login_url = assert(module:get_option_string("copilot_login_url"), "copilot_login_url is not set");

local ANSWER_SECONDS = 5;
-- An identity has at most 900 bytes; nobody is asked about more.
local MAX_PASSWORD_BYTES = 1024;

local function ask(username, password)
	if #password > MAX_PASSWORD_BYTES then return false; end
	local wait, done = async.waiter();
	local allowed, settled = false, false;
	local function settle(answer)
		if settled then return; end
		settled, allowed = true, answer;
		done();
	end
	local form = formencode({ username = username, password = password });
	http.request(login_url, { body = form }, function (body, code)
		settle(code == 200 and body == "allow");
	end);
	timer.add_task(ANSWER_SECONDS, function () settle(false); end);
	wait();
	return allowed;
end

local provider = {};

function provider.get_sasl_handler()
	return new_sasl(module.host, {
		plain_test = function (_, username, password)
			return ask(username, password), true;
		end;
	});
end

function provider.test_password(username, password)
	return ask(username, password);
end

-- Nobody is there but who is connected, and nobody is made here.
function provider.user_exists(username)
	return prosody.hosts[module.host].sessions[username] ~= nil;
end

function provider.users()
	return function () end;
end

local function refuse()
	return nil, "agents are made by the enrolment";
end

provider.create_user = refuse;
provider.set_password = refuse;
provider.delete_user = refuse;

module:provides("auth", provider);
