%% A broker has the streams of an agent closed that it serves no more; nobody else is heard.
-module(mod_copilot_evict).

-behaviour(gen_mod).

-include_lib("p1_xmpp/include/xmpp.hrl").

-export([start/2, stop/1, reload/3, depends/2, mod_options/1, mod_doc/0]).
-export([evict/1, decode_iq_subel/1]).

-define(EVICT, <<"urn:co-pilot:evict:1">>).

start(Host, _Options) ->
    gen_iq_handler:add_iq_handler(ejabberd_local, Host, ?EVICT, ?MODULE, evict).

stop(Host) -> gen_iq_handler:remove_iq_handler(ejabberd_local, Host, ?EVICT).

reload(_Host, _New, _Old) -> ok.

%% It knows who is a broker, and that nobody speaks in another's name.
depends(_Host, _Options) -> [{mod_copilot_guard, hard}].

mod_options(_Host) -> [].

mod_doc() -> #{}.

%% The server's own reader does not know it.
decode_iq_subel(Evict) -> Evict.

evict(#iq{type = set, from = #jid{luser = <<>>, lserver = From}, to = #jid{lserver = Host}} = Iq) ->
    case lists:member(From, gen_mod:get_module_opt(Host, mod_copilot_guard, brokers)) of
        true -> close(Iq, Host);
        false -> refuse(Iq)
    end;
evict(Iq) -> refuse(Iq).

close(#iq{sub_els = [#xmlel{name = <<"evict">>} = Evict]} = Iq, Host) ->
    Agent = fxml:get_tag_attr_s(<<"agent">>, Evict),
    Closed = integer_to_binary(ejabberd_sm:kick_user(Agent, Host)),
    xmpp:make_iq_result(Iq, #xmlel{name = <<"evict">>, attrs = [{<<"xmlns">>, ?EVICT}, {<<"closed">>, Closed}]});
close(Iq, _Host) -> refuse(Iq).

refuse(Iq) -> xmpp:make_error(Iq, xmpp:err_forbidden()).
