import { LATENCY_BUCKETS, type Meter, type MetricDefinitions } from '../protocol/runtime/meter.ts';
import type { Clock } from '../protocol/runtime/runtime.ts';
import type { AnswerAsk } from './adapter-program.ts';

/** What every adapter measures of the broker's questions. */
export const ASK_METRICS = {
  copilot_adapter_answers_total: {
    kind: 'counter',
    label: 'result',
    help: 'Items of the broker by their answer',
  },
  copilot_adapter_answer_seconds: {
    kind: 'histogram',
    label: 'op',
    buckets: LATENCY_BUCKETS,
    help: 'From an item of the broker to its answer',
  },
  copilot_broker_connected: { kind: 'gauge', help: '1 while a broker has a session' },
} as const satisfies MetricDefinitions;

type AskMetric = keyof typeof ASK_METRICS;

/** Answers as before, and notes what and how fast. */
export function meteredAnswers(answer: AnswerAsk, meter: Meter<AskMetric>, clock: Clock): AnswerAsk {
  return async (item) => {
    const fromMs = clock.monotonicMs();
    const answered = await answer(item);
    meter.observe('copilot_adapter_answer_seconds', (clock.monotonicMs() - fromMs) / 1000, item.op);
    meter.add(
      'copilot_adapter_answers_total',
      answered.result === 'refused' ? answered.code : answered.result,
    );
    return answered;
  };
}
