import type { Lent, Suite } from '../case.ts';
import type { BrokerCase } from './broker-case.ts';
import { BROKER_CASES } from './cases.ts';
import { Scene } from './scene.ts';
import { Stage, type StageOptions } from './stage.ts';
import { CAPABILITIES } from './subject.ts';

/** Plays agents, right and wrong ones, against a broker. */
export function createBrokerSuite(options: StageOptions): Suite<Scene> {
  const stage = new Stage(options);
  return {
    kind: 'broker',
    cases: BROKER_CASES,
    lacks(capability) {
      if (capability in options.subject) return undefined;
      return (CAPABILITIES as Readonly<Record<string, string>>)[capability];
    },
    lend: (testCase, signal) => lend(stage, testCase, signal),
    close: () => Promise.resolve(),
  };
}

async function lend(stage: Stage, _case: BrokerCase, signal: AbortSignal): Promise<Lent<Scene>> {
  await stage.ready(signal);
  const scene = new Scene(stage, signal);
  return {
    subject: scene,
    async giveBack() {
      await scene.close();
      return '';
    },
  };
}
