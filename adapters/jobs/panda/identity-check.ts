import { CoPilotError } from '../../../protocol/errors.ts';
import type { Clock, Log } from '../../../protocol/runtime/runtime.ts';
import type { Identity, PandaClient } from './panda-client.ts';

/** Asks PanDA who it takes us for: a wrong role shows before a job is taken that could never be reported on. */
export interface IdentityCheck {
  check(): Promise<void>;
  /** Rejects with `NOT_AUTHORIZED` while PanDA gives us no production role, and as the question does while it has no answer. */
  require(): Promise<void>;
}

const AGAIN_MS = 60_000;

export function createIdentityCheck({
  client,
  clock,
  log,
}: {
  readonly client: PandaClient;
  readonly clock: Clock;
  readonly log: Log;
}): IdentityCheck {
  let isGood = false;
  let refusal: { readonly error: CoPilotError; readonly untilMs: number } | undefined;

  const check = async (): Promise<void> => {
    const identity = await client.identity();
    if (identity.kind === 'untold') {
      log.info({}, 'PanDA answers; its legacy API does not say who we are');
    } else if (identity.isProduction) {
      log.info({ name: identity.name }, 'PanDA knows us, with the production role');
    } else {
      const error = noRole(identity.name);
      log.error({ name: identity.name }, 'PanDA gives us no production role');
      refusal = { error, untilMs: clock.monotonicMs() + AGAIN_MS };
      throw error;
    }
    isGood = true;
  };

  return {
    check,
    async require() {
      if (isGood) return;
      if (refusal !== undefined && clock.monotonicMs() < refusal.untilMs) throw refusal.error;
      await check();
    },
  };
}

/** What PanDA says of us, in words that go on after its name. Throws `NOT_AUTHORIZED` without the production role. */
export function introduced(identity: Identity): string {
  if (identity.kind === 'untold') return 'answers; its legacy API does not say who we are';
  if (!identity.isProduction) throw noRole(identity.name);
  return `knows us as ${identity.name}, with the production role`;
}

function noRole(name: string): CoPilotError {
  return new CoPilotError(
    'NOT_AUTHORIZED',
    `PanDA knows us as ${name}, without the production role: jobs could be taken and never be reported on`,
  );
}
