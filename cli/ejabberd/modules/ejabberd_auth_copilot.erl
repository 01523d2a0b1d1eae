%% Agents log in with their identities, which the broker judges: yes only where it says so, within a few seconds.
-module(ejabberd_auth_copilot).

-behaviour(ejabberd_auth).

-export([start/1, stop/1, reload/1, check_password/4, user_exists/2, plain_password_required/1,
         store_type/1, use_cache/1]).

-define(CONNECT_MS, 1000).
-define(ANSWER_MS, 4000).
%% An identity has at most 900 bytes; nobody is asked about more.
-define(MAX_PASSWORD_BYTES, 1024).

start(_Host) ->
    {ok, _} = application:ensure_all_started(inets),
    ok.

stop(_Host) -> ok.

reload(_Host) -> ok.

plain_password_required(_Host) -> true.

store_type(_Host) -> external.

%% An agent may be revoked at any time.
use_cache(_Host) -> false.

%% Nobody is there but who is connected.
user_exists(_User, _Host) -> {nocache, false}.

check_password(User, User, Host, Password)
    when Password =/= <<>>, byte_size(Password) =< ?MAX_PASSWORD_BYTES ->
    {nocache, ask(User, Host, Password)};
check_password(_User, _OnBehalfOf, _Host, _Password) -> {nocache, false}.

ask(User, Host, Password) ->
    try
        Url = gen_mod:get_module_opt(Host, mod_copilot_guard, login_url),
        Form = uri_string:compose_query([{<<"username">>, User}, {<<"password">>, Password}]),
        Request = {binary_to_list(Url), [{"connection", "close"}], "application/x-www-form-urlencoded", Form},
        Bounds = [{connect_timeout, ?CONNECT_MS}, {timeout, ?ANSWER_MS}, {autoredirect, false}],
        {ok, {200, <<"allow">>}} ==
            httpc:request(post, Request, Bounds, [{full_result, false}, {body_format, binary}])
    catch
        _:_ -> false
    end.
