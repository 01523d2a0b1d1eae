import type { Meter } from '../../protocol/runtime/meter.ts';
import type { Clock } from '../../protocol/runtime/runtime.ts';
import type { AnswerBody, AskBody } from '../../protocol/session/trusted-link.ts';

export type AskMetric = 'copilot_adapter_ask_seconds' | 'copilot_adapter_ask_failures_total';

type Ask = (service: string, body: AskBody, deadlineMs?: number) => Promise<AnswerBody>;

/** Asks as before, and notes how long each answer took. */
export function meteredAsk(ask: Ask, meter: Meter<AskMetric>, clock: Clock): Ask {
  return async (service, body, deadlineMs) => {
    const fromMs = clock.monotonicMs();
    try {
      const answer = await ask(service, body, deadlineMs);
      meter.observe('copilot_adapter_ask_seconds', (clock.monotonicMs() - fromMs) / 1000, body.op);
      return answer;
    } catch (caught) {
      meter.add('copilot_adapter_ask_failures_total', body.op);
      throw caught;
    }
  };
}
