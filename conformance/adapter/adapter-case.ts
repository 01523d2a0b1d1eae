import type { Case, Level } from '../case.ts';
import { expect } from '../expectation.ts';
import type { AdapterScene } from './scene.ts';

export type AdapterCase = Case<AdapterScene>;

/** As the broker's cases, under `ADP-`; kinds of adapters are needs like any other. */
export function adapterCase(
  level: Level,
  id: string,
  title: string,
  requirements: string,
  needs: readonly string[],
  play: (scene: AdapterScene) => Promise<void>,
): AdapterCase {
  return {
    id: `ADP-${id}`,
    title,
    requirements: requirements.split(' '),
    level,
    needs,
    withinSeconds: 60,
    run: async (scene) => {
      await play(scene);
      const { violations } = await scene.stage.talk(scene.signal);
      expect(violations.length === 0, violations.join('; '));
    },
  };
}
