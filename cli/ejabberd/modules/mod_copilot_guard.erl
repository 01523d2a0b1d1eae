%% Who may say what to whom: agents to brokers, brokers to agents and adapters, adapters to brokers. Nothing else is routed.
-module(mod_copilot_guard).

-behaviour(gen_mod).

-include_lib("p1_xmpp/include/xmpp.hrl").

-export([start/2, stop/1, reload/3, depends/2, mod_opt_type/1, mod_options/1, mod_doc/0]).
-export([from_agent/1, from_component/1]).

%% Before every other module that looks at what is sent.
-define(FIRST, 1).
-define(FRAME, <<"urn:co-pilot:frame:1">>).
-define(EVICT, <<"urn:co-pilot:evict:1">>).

start(Host, _Options) ->
    ejabberd_hooks:add(user_send_packet, Host, ?MODULE, from_agent, ?FIRST),
    ejabberd_hooks:add(component_send_packet, ?MODULE, from_component, ?FIRST),
    ok.

stop(Host) ->
    ejabberd_hooks:delete(user_send_packet, Host, ?MODULE, from_agent, ?FIRST),
    ejabberd_hooks:delete(component_send_packet, ?MODULE, from_component, ?FIRST),
    ok.

reload(_Host, _New, _Old) -> ok.

depends(_Host, _Options) -> [].

mod_opt_type(brokers) -> econf:list(econf:domain());
mod_opt_type(adapters) -> econf:list(econf:domain());
mod_opt_type(login_url) -> econf:url().

mod_options(_Host) -> [{brokers, []}, {adapters, []}, login_url].

mod_doc() -> #{}.

%% A hook that fails would let through what it was asked about.
from_agent({Packet, State}) ->
    try agent_may(Packet, State) of
        true -> {Packet, State};
        false ->
            ejabberd_router:route_error(Packet, xmpp:err_policy_violation()),
            {stop, {drop, State}}
    catch
        _:_ -> {stop, {drop, State}}
    end.

from_component({Packet, State}) ->
    try component_may(Packet, State) of
        true -> {Packet, State};
        false -> {stop, {drop, State}}
    catch
        _:_ -> {stop, {drop, State}}
    end.

agent_may(#message{type = error}, _State) -> false;
agent_may(#message{to = #jid{lserver = To}} = Message, #{lserver := Host}) ->
    is_one_of(To, brokers, Host) andalso is_frame(Message);
%% A client library may begin by telling its server that it is there.
agent_may(#presence{type = Type, to = To}, #{jid := Own, lserver := Host}) ->
    is_coming_or_going(Type) andalso
        (is_own(To, Own) orelse is_one_of(To#jid.lserver, brokers, Host));
agent_may(#iq{type = get, to = To} = Iq, #{jid := Own}) ->
    is_server_or_own(To, Own) andalso has_child(Iq, ?NS_PING);
agent_may(#iq{type = set, to = To} = Iq, #{jid := Own}) ->
    is_server_or_own(To, Own) andalso has_child(Iq, ?NS_SESSION);
%% The server pings too.
agent_may(#iq{to = To}, #{jid := Own}) -> is_server_or_own(To, Own).

%% Components share a listener, which takes any of their names from each of them.
component_may(Packet, #{remote_server := Own}) ->
    (xmpp:get_from(Packet))#jid.lserver =:= Own andalso
        lists:any(fun(Host) -> component_may_send(Packet, Own, Host) end, guarded_hosts()).

component_may_send(#message{type = error}, _Own, _Host) -> false;
component_may_send(#message{to = #jid{lserver = To}} = Message, Own, Host) ->
    may_reach(Own, To, Host) andalso is_frame(Message);
component_may_send(#presence{type = Type, to = #jid{lserver = To}}, Own, Host) ->
    is_coming_or_going(Type) andalso may_reach(Own, To, Host);
component_may_send(#iq{type = get, to = #jid{luser = <<>>, lserver = Host}} = Iq, _Own, Host) ->
    has_child(Iq, ?NS_PING);
component_may_send(#iq{type = set, to = #jid{luser = <<>>, lserver = Host}} = Iq, Own, Host) ->
    is_one_of(Own, brokers, Host) andalso has_child(Iq, ?EVICT);
component_may_send(_Packet, _Own, _Host) -> false.

%% A frame and nothing beside it, but for the date that a client adds when it says something again.
is_frame(#message{subject = [], body = [], thread = undefined, sub_els = Children}) ->
    length(Children) =< 2 andalso
        lists:any(fun(Child) -> xmpp:get_ns(Child) =:= ?FRAME end, Children);
is_frame(_Message) -> false.

may_reach(Own, To, Host) ->
    case is_one_of(Own, brokers, Host) of
        true -> To =:= Host orelse is_one_of(To, adapters, Host);
        false -> is_one_of(Own, adapters, Host) andalso is_one_of(To, brokers, Host)
    end.

guarded_hosts() -> [Host || Host <- ejabberd_option:hosts(), gen_mod:is_loaded(Host, ?MODULE)].

is_one_of(Name, Which, Host) ->
    lists:member(Name, gen_mod:get_module_opt(Host, ?MODULE, Which)).

is_coming_or_going(Type) -> Type =:= available orelse Type =:= unavailable.

is_own(undefined, _Own) -> true;
is_own(#jid{luser = User, lserver = Host, lresource = <<>>}, #jid{luser = User, lserver = Host}) -> true;
is_own(_To, _Own) -> false.

is_server_or_own(#jid{luser = <<>>, lserver = Host, lresource = <<>>}, #jid{lserver = Host}) -> true;
is_server_or_own(To, Own) -> is_own(To, Own).

has_child(#iq{sub_els = [Child]}, Namespace) -> xmpp:get_ns(Child) =:= Namespace;
has_child(_Iq, _Namespace) -> false.
