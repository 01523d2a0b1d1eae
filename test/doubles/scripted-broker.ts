import { base64url, bytesOf, fromBase64url, fromHex, hex } from '../../protocol/encoding.ts';
import { BROKER_ADDRESS } from '../../protocol/bindings/bus.ts';
import type { Bus } from '../../protocol/bindings/bus.ts';
import type { Attempt, BrokerHello, Identity, Verdicts, Welcome } from '../../protocol/generated/types.ts';
import { isAgentHello } from '../../protocol/generated/validators.js';
import { decodeAgentMessage, decodeAs, encodeMessage, PROTOCOL_VERSION } from '../../protocol/messages.ts';
import type { AgentMessage, BrokerMessage } from '../../protocol/messages.ts';
import type { PrivateKey, Runtime } from '../../protocol/runtime/runtime.ts';
import { createResponder } from '../../protocol/session/responder.ts';
import type { Session } from '../../protocol/session/session.ts';
import { judgeIdentity, signCertificate, signIdentity } from '../../protocol/tokens.ts';

export const INSTALLATION = 'stage';

/** Keys of an installation and of one agent of it. */
export interface Cast {
  readonly certifier: PrivateKey;
  readonly brokerKey: PrivateKey;
  readonly identityKey: PrivateKey;
  readonly agentSession: PrivateKey;
  readonly agentSigning: PrivateKey;
  readonly agentId: string;
  readonly identity: string;
}

export function createCast({ crypto, clock }: Runtime): Cast {
  const identityKey = crypto.generate('p256');
  const agentSession = crypto.generate('x25519');
  const agentSigning = crypto.generate('ed25519');
  const now = Math.floor(clock.wallMs() / 1000);
  const claims: Identity = {
    iss: INSTALLATION,
    sub: 'a'.repeat(26),
    owner: 'somebody',
    site: 'home',
    tier: 'untrusted',
    sig: base64url(agentSigning.publicKey.raw),
    kex: base64url(agentSession.publicKey.raw),
    iat: now,
    exp: now + 604_800,
  };
  return {
    certifier: crypto.generate('ed25519'),
    brokerKey: crypto.generate('x25519'),
    identityKey,
    agentSession,
    agentSigning,
    agentId: claims.sub,
    identity: signIdentity(crypto, identityKey, claims),
  };
}

export const DAY_SECONDS = 86_400;

/** What the scripted broker answers to the next handshakes; a test may change any of it. */
export interface Manners {
  welcome: { slots: Welcome['slots']; held: readonly Attempt[]; verdicts: Verdicts };
  /** Instead of a welcome. */
  farewell: string | undefined;
  /** Signs the certificate. */
  certifier: PrivateKey;
  certifiedKey: Uint8Array;
  /** How long ago the certificate, which is for a day, was made. */
  certificateAgeSeconds: number;
  installation: string;
  versions: readonly number[];
  maxSlots: number;
}

/** A broker that does as the test says: sessions are real, everything said in them is scripted. */
export interface ScriptedBroker {
  readonly manners: Manners;
  /** Messages heard and not yet taken, oldest first. */
  readonly inbox: AgentMessage[];
  /** How many messages were heard since the last call. */
  heardSince(): number;
  /** Start ids of the sessions opened, oldest first. */
  readonly starts: readonly string[];
  /** Says it on the newest session. */
  say(message: BrokerMessage): void;
  /** Any bytes, sealed on the newest session. */
  sayRaw(bytes: Uint8Array): void;
  /** Forgets every session, as a restart does. */
  restart(): void;
  stop(): Promise<void>;
}

export async function startScriptedBroker(runtime: Runtime, bus: Bus, cast: Cast): Promise<ScriptedBroker> {
  const manners: Manners = {
    welcome: { slots: [], held: [], verdicts: [] },
    farewell: undefined,
    certifier: cast.certifier,
    certifiedKey: cast.brokerKey.publicKey.raw,
    certificateAgeSeconds: 0,
    installation: INSTALLATION,
    versions: [PROTOCOL_VERSION],
    maxSlots: 8,
  };
  const inbox: AgentMessage[] = [];
  const starts: string[] = [];
  let heard = 0;
  let newest: Session<Caller> | undefined;
  const createBrokerResponder = () =>
    createResponder<Caller>({
      runtime,
      pattern: 'XX',
      staticKeys: new Map([[0, cast.brokerKey]]),
      prologue: { installation: INSTALLATION, responderRole: 'broker' },
      hello: (sessionId) => bytesOf(JSON.stringify(helloOf(runtime, manners, sessionId))),
      authenticate: (payload, remoteStatic) => authenticate(runtime, cast, payload, remoteStatic),
      send: (to, frame) => void bus.send(to, frame).catch(() => undefined),
      onSession(session) {
        newest = session;
        starts.push(session.principal.start);
        session.send(encodeMessage(greeting(session.principal, manners)));
      },
      onMessage(_session, bytes) {
        heard += 1;
        inbox.push(decodeAgentMessage(bytes));
      },
      limits: { handshakes: { burst: 100, everyMs: 1 } },
    });
  let responder = createBrokerResponder();
  bus.onFrame((from, frame) => responder.receive(from, frame));
  bus.onGone((address) => responder.dropAddress(address));
  await bus.start();
  return {
    manners,
    inbox,
    starts,
    heardSince() {
      const count = heard;
      heard = 0;
      return count;
    },
    say: (message) => void newest?.send(encodeMessage(message)),
    sayRaw: (bytes) => void newest?.send(bytes),
    restart() {
      responder.stop();
      newest = undefined;
      responder = createBrokerResponder();
    },
    async stop() {
      responder.stop();
      await bus.stop();
    },
  };
}

/** Whom a session belongs to. */
interface Caller {
  readonly agent: string;
  readonly start: string;
}

function greeting({ agent }: Caller, { welcome, farewell }: Manners): BrokerMessage {
  return farewell === undefined
    ? { kind: 'welcome', agent, ...welcome }
    : { kind: 'farewell', code: farewell, message: 'as the test says' };
}

function helloOf({ crypto, clock }: Runtime, manners: Manners, sessionId: Uint8Array): BrokerHello {
  const madeAt = Math.floor(clock.wallMs() / 1000) - manners.certificateAgeSeconds;
  return {
    kind: 'broker-hello',
    certificate: signCertificate(crypto, manners.certifier, {
      iss: manners.installation,
      instance: 'broker-1',
      kex: base64url(manners.certifiedKey),
      address: BROKER_ADDRESS,
      iat: madeAt,
      exp: madeAt + DAY_SECONDS,
    }),
    session: hex(sessionId),
    versions: manners.versions,
    maxSlots: manners.maxSlots,
  };
}

function authenticate(
  { crypto, clock }: Runtime,
  cast: Cast,
  payload: Uint8Array,
  remoteStatic: Uint8Array,
): { readonly principal: Caller; readonly peerSessionId: Uint8Array } | undefined {
  const hello = decodeAs(payload, isAgentHello);
  const judged = judgeIdentity(crypto, cast.identityKey.publicKey, hello.identity, clock.wallMs());
  if (judged.kind !== 'valid') return undefined;
  if (hex(fromBase64url(judged.claims.kex)!) !== hex(remoteStatic)) return undefined;
  const principal = { agent: judged.claims.sub, start: hello.start };
  return { principal, peerSessionId: fromHex(hello.session) };
}
