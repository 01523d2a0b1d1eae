import { bytesOf, fromBase64url, fromHex, hex, base64url } from '../../protocol/encoding.ts';
import { CoPilotError, toCoPilotError, type ErrorCode } from '../../protocol/errors.ts';
import type { BrokerHello, Identity, Welcome } from '../../protocol/generated/types.ts';
import { isAgentHello } from '../../protocol/generated/validators.js';
import { type Address, BROKER_ADDRESS } from '../../protocol/bindings/bus.ts';
import {
  type AgentMessage,
  type BrokerMessage,
  decodeAgentMessage,
  decodeAs,
  PROTOCOL_VERSION,
} from '../../protocol/messages.ts';
import { type Meter, NO_METER } from '../../protocol/runtime/meter.ts';
import type { Cancel, PublicKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { createResponder, type Responder, type ResponderLimits } from '../../protocol/session/responder.ts';
import type { SessionCounters } from '../../protocol/session/counters.ts';
import type { Session } from '../../protocol/session/session.ts';
import { CLOCK_TOLERANCE_SECONDS, judgeIdentityBy, signCertificate } from '../../protocol/tokens.ts';
import type { AgentRow } from '../core/state.ts';
import type { Outcome } from '../core/command.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { BrokerConfiguration } from './configuration.ts';
import { outwardMessage } from './outward-message.ts';
import { encodeFitting } from './fit.ts';
import { createPresence } from './presence.ts';

/** Whom a session belongs to, as the handshake proved it (I8). */
export interface AgentPrincipal {
  readonly identity: Identity;
  readonly signingKey: PublicKey;
  readonly start: string;
  readonly isExpired: boolean;
  /** Whose signature the identity has. */
  readonly signer: PublicKey;
}

/** One agent as the broker hears it now. */
export interface Caller {
  readonly agent: string;
  readonly start: string;
  readonly signingKey: PublicKey;
  readonly identity: Identity;
  /** False where the session is gone: the agent will ask again on its next one. */
  send(message: BrokerMessage): boolean;
  /** The session is over: nothing may be kept waiting for it. */
  isGone(): boolean;
  /** Ends the agent's sessions with a last word; `SUPERSEDED` is said to those of this caller's start alone. */
  dismiss(code: ErrorCode): void;
}

export type SessionMetric = 'copilot_agent_messages_total' | 'copilot_agent_refusals_total';

export interface AgentSessionsOptions {
  readonly runtime: Runtime;
  readonly configuration: BrokerConfiguration;
  readonly ledger: Ledger;
  readonly send: (to: Address, frame: Uint8Array) => void;
  readonly onMessage: (caller: Caller, message: AgentMessage) => Promise<void>;
  readonly follow: (outcome: Outcome) => void;
  /** A session is over; what its agent waits for it asks again on the next. */
  readonly onGone?: (caller: Caller) => void;
  /** An agent hears its last word, at this address. */
  readonly onFarewell?: (agent: string, owner: string, code: ErrorCode, address: Address) => void;
  readonly meter?: Meter<SessionMetric>;
  readonly limits?: Partial<ResponderLimits>;
}

export interface AgentSessions {
  receive(from: Address, frame: Uint8Array): void;
  gone(address: Address): void;
  /** Says something to an agent unasked on its newest session. */
  push(agent: string, message: BrokerMessage): void;
  dismiss(agent: string, code: ErrorCode): void;
  readonly connected: number;
  isConnected(agent: string): boolean;
  /** It has a session and was welcomed on it: whoever is about to be sent away again may have one too. */
  isWelcome(agent: string): boolean;
  /** Ids of those that have a session here. */
  ids(): readonly string[];
  /** What became of handshakes and frames since the start. */
  readonly events: Readonly<SessionCounters>;
  /** When it was last heard, by this machine's clock; undefined where not since this start, or too long ago. */
  lastHeardMs(agent: string): number | undefined;
  stop(): void;
}

const CERTIFICATE_SECONDS = 86_400;
/** How often those that say nothing are held against the end of their identity. */
const LOOK_MS = 10_000;
/** Messages of a session that wait while its agent is looked up in the ledger. */
const MAX_EARLY_MESSAGES = 16;

/** A session until its agent is welcomed, and afterwards. */
interface Entry {
  readonly session: Session<AgentPrincipal>;
  readonly caller: Caller;
  readonly early: Uint8Array[];
  isWelcome: boolean;
}

/** Sessions of agents: who they are, in which start, and what they say. */
export function createAgentSessions(options: AgentSessionsOptions): AgentSessions {
  const { runtime, configuration, ledger, onMessage, follow, meter = NO_METER } = options;
  const entries = new Map<Session<AgentPrincipal>, Entry>();
  const byAgent = new Map<string, Set<Entry>>();
  const presence = createPresence();

  const responder: Responder<AgentPrincipal> = createResponder<AgentPrincipal>({
    runtime,
    pattern: 'XX',
    staticKeys: new Map([[0, configuration.keys.session]]),
    prologue: { installation: configuration.installation, responderRole: 'broker' },
    hello: (sessionId) => brokerHello(runtime, configuration, sessionId),
    authenticate: (payload, remoteStatic) => authenticate(runtime, configuration, payload, remoteStatic),
    send: options.send,
    onSession: (session) => void greet(session),
    onMessage: receive,
    onEnd: forget,
    ...(options.limits && { limits: options.limits }),
  });

  let cancelLook: Cancel | undefined;

  /** Whoever speaks is judged at once; this is for those that only listen. */
  function lookLater(): void {
    cancelLook ??= runtime.clock.schedule(LOOK_MS, () => {
      cancelLook = undefined;
      for (const entry of [...entries.values()])
        if (isOver(entry.session.principal)) farewell(entry, 'IDENTITY_EXPIRED');
      if (entries.size > 0) lookLater();
    });
  }

  async function greet(session: Session<AgentPrincipal>): Promise<void> {
    const entry = remember(session);
    const { identity, start, isExpired } = session.principal;
    if (isExpired) farewell(entry, 'IDENTITY_EXPIRED');
    else await lookUp(entry, identity, start);
  }

  async function lookUp(entry: Entry, identity: Identity, start: string): Promise<void> {
    try {
      const { sub: agent, owner, site, tier } = identity;
      const [outcome] = await ledger.apply([{ kind: 'hello', agent, owner, site, tier, start }]);
      if (outcome?.kind === 'welcome') welcome(entry, outcome.agent);
      if (outcome?.kind === 'welcome') follow(outcome);
      // Of two programs with one key none is served any more.
      if (outcome?.kind === 'refused' && outcome.code === 'QUARANTINED') dismiss(agent, outcome.code);
      else if (outcome?.kind === 'refused') farewell(entry, farewellCode(outcome.code));
    } catch (caught) {
      runtime.log.error({ agent: identity.sub, err: caught }, 'an agent could not be greeted');
      responder.close(entry.session);
    }
  }

  function remember(session: Session<AgentPrincipal>): Entry {
    const agent = session.principal.identity.sub;
    const entry: Entry = { session, caller: callerOf(session), early: [], isWelcome: false };
    entries.set(session, entry);
    const peers = byAgent.get(agent) ?? new Set<Entry>();
    // Sessions of one start coexist on two buses; on one connection, and of an older start, the newer takes over.
    for (const { session: older } of peers) {
      if (older.principal.start !== session.principal.start || older.address === session.address)
        older.retire();
    }
    byAgent.set(agent, peers.add(entry));
    lookLater();
    return entry;
  }

  function forget(session: Session<AgentPrincipal>): void {
    const entry = entries.get(session);
    if (entry === undefined) return;
    entries.delete(session);
    options.onGone?.(entry.caller);
    const peers = byAgent.get(session.principal.identity.sub);
    peers?.delete(entry);
    if (peers?.size === 0) byAgent.delete(session.principal.identity.sub);
  }

  function welcome(entry: Entry, agent: AgentRow): void {
    entry.isWelcome = true;
    presence.heard(agent.id, runtime.clock.wallMs());
    entry.caller.send(welcomeMessage(agent));
    for (const message of entry.early.splice(0)) hear(entry, message);
  }

  function receive(session: Session<AgentPrincipal>, message: Uint8Array): void {
    const entry = entries.get(session);
    if (entry?.isWelcome === true) hear(entry, message);
    else if (entry !== undefined && entry.early.length < MAX_EARLY_MESSAGES) entry.early.push(message);
  }

  function hear(entry: Entry, bytes: Uint8Array): void {
    presence.heard(entry.caller.agent, runtime.clock.wallMs());
    if (isOver(entry.session.principal)) return farewell(entry, 'IDENTITY_EXPIRED');
    try {
      const message = decodeAgentMessage(bytes);
      meter.add('copilot_agent_messages_total', message.kind);
      onMessage(entry.caller, message).catch((caught: unknown) => answerFault(entry, message, caught));
    } catch (caught) {
      // Slot and counter of a message that cannot be read are not to be had either: 0 and 1 stand for none.
      sendError(entry, { slot: 0, counter: 1 }, toCoPilotError(caught));
    }
  }

  /** An identity ends in the middle of a session too, by its time or with the key that signed it. */
  function isOver({ identity, signer }: AgentPrincipal): boolean {
    const isLate = runtime.clock.wallMs() / 1000 > identity.exp + CLOCK_TOLERANCE_SECONDS;
    return isLate || !identityKeys(configuration).includes(signer);
  }

  function answerFault(entry: Entry, message: AgentMessage, caught: unknown): void {
    const error = toCoPilotError(caught);
    if (error.code === 'INTERNAL')
      runtime.log.error({ agent: entry.caller.agent, kind: message.kind, err: caught }, 'a message failed');
    sendError(entry, message, error);
  }

  function sendError(
    entry: Entry,
    turn: { readonly slot: number; readonly counter: number },
    error: CoPilotError,
  ): void {
    meter.add('copilot_agent_refusals_total', error.code);
    const message = outwardMessage(error);
    entry.caller.send({ kind: 'error', slot: turn.slot, counter: turn.counter, code: error.code, message });
  }

  function callerOf(session: Session<AgentPrincipal>): Caller {
    const { identity, start, signingKey } = session.principal;
    return {
      agent: identity.sub,
      start,
      signingKey,
      identity,
      send: (message) => session.send(encodeFitting(message)),
      isGone: () => !entries.has(session),
      dismiss: (code) => dismiss(identity.sub, code, code === 'SUPERSEDED' ? start : undefined),
    };
  }

  /** All sessions of the agent, or those of one start: what is said of an old start is not said of its successor. */
  function dismiss(agent: string, code: ErrorCode, start?: string): void {
    for (const entry of [...(byAgent.get(agent) ?? [])])
      if (start === undefined || entry.session.principal.start === start) farewell(entry, code);
  }

  function farewell(entry: Entry, code: ErrorCode): void {
    meter.add('copilot_agent_refusals_total', code);
    entry.caller.send({ kind: 'farewell', code, message: FAREWELLS[code] ?? 'this start is not served' });
    forget(entry.session);
    responder.close(entry.session);
    const { sub, owner } = entry.caller.identity;
    options.onFarewell?.(sub, owner, code, entry.session.address);
  }

  return {
    receive: (from, frame) => responder.receive(from, frame),
    gone: (address) => responder.dropAddress(address),
    push(agent, message) {
      const newest = [...(byAgent.get(agent) ?? [])].findLast(
        (entry) => entry.isWelcome && entry.session.state === 'open',
      );
      newest?.caller.send(message);
    },
    dismiss,
    isConnected: (agent) => byAgent.has(agent),
    isWelcome: (agent) => [...(byAgent.get(agent) ?? [])].some((entry) => entry.isWelcome),
    ids: () => [...byAgent.keys()],
    get events() {
      return responder.counters;
    },
    get connected() {
      return byAgent.size;
    },
    lastHeardMs: (agent) => presence.lastHeardMs(agent),
    stop() {
      cancelLook?.();
      responder.stop();
    },
  };
}

const FAREWELLS: Partial<Record<ErrorCode, string>> = {
  IDENTITY_EXPIRED: 'the identity has expired: renew it at the enrolment address',
  REVOKED: 'this agent was revoked; its operator can enrol it anew',
  BANNED: 'the owner of this agent is banned',
  QUARANTINED: 'two programs use this key; the operator of the broker decides what becomes of it',
  SUPERSEDED: 'a newer start of this agent has taken over',
  OTHER_OWNER: 'this key belongs to an agent of another owner',
};

/** What a ledger's refusal means for the whole session. */
export function farewellCode(refusal: string): ErrorCode {
  return refusal in FAREWELLS ? (refusal as ErrorCode) : 'NOT_AUTHORIZED';
}

/** Whether the refusal ends the session rather than answering one message. */
export function endsSession(refusal: string): boolean {
  return refusal in FAREWELLS;
}

function brokerHello(
  runtime: Runtime,
  configuration: BrokerConfiguration,
  sessionId: Uint8Array,
): Uint8Array {
  const now = Math.floor(runtime.clock.wallMs() / 1000);
  const { installation, instance, address = BROKER_ADDRESS, keys } = configuration;
  const hello: BrokerHello = {
    kind: 'broker-hello',
    certificate: signCertificate(runtime.crypto, keys.certifier, {
      iss: installation,
      instance,
      kex: base64url(keys.session.publicKey.raw),
      address,
      // Agents whose clock is behind must not find it early.
      iat: now - CERTIFICATE_SECONDS,
      exp: now + CERTIFICATE_SECONDS,
    }),
    session: hex(sessionId),
    versions: [PROTOCOL_VERSION],
    maxSlots: 63,
  };
  return bytesOf(JSON.stringify(hello));
}

function identityKeys({ keys }: BrokerConfiguration): readonly PublicKey[] {
  return keys.identities?.() ?? [keys.identity];
}

/** Identity before anything else: its signature, its installation, and that its key is the handshake's own. */
function authenticate(
  runtime: Runtime,
  configuration: BrokerConfiguration,
  payload: Uint8Array,
  remoteStatic: Uint8Array,
): { readonly principal: AgentPrincipal; readonly peerSessionId: Uint8Array } | undefined {
  try {
    const hello = decodeAs(payload, isAgentHello);
    const good = identityKeys(configuration);
    const { judged, signer } = judgeIdentityBy(
      runtime.crypto,
      [...good, ...(configuration.keys.formerIdentities?.() ?? [])],
      hello.identity,
      runtime.clock.wallMs(),
    );
    if (judged.kind === 'invalid' || judged.kind === 'early' || hello.version !== PROTOCOL_VERSION)
      return undefined;
    if (signer === undefined) return undefined;
    const { claims } = judged;
    if (claims.iss !== configuration.installation || claims.kex !== base64url(remoteStatic)) return undefined;
    const signingKey = runtime.crypto.importPublic('ed25519', fromBase64url(claims.sig) ?? new Uint8Array());
    const principal = {
      identity: claims,
      signingKey,
      start: hello.start,
      isExpired: judged.kind === 'expired' || !good.includes(signer),
      signer,
    };
    return { principal, peerSessionId: fromHex(hello.session) };
  } catch {
    return undefined; // one answer to the outside for every failure: silence (docs/protocol.md, S)
  }
}

function welcomeMessage(agent: AgentRow): Welcome {
  return {
    kind: 'welcome',
    agent: agent.id,
    slots: Object.entries(agent.slots).map(([slot, { counter }]) => ({ slot: Number(slot), counter })),
    held: agent.held.filter((held) => held.live).map(({ job, attempt }) => ({ job, attempt })),
    verdicts: agent.verdicts,
  };
}
