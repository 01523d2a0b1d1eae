import type { Case } from '../case.ts';
import type { Scene } from './scene.ts';

export type BrokerCase = Case<Scene>;

type Facts = Omit<BrokerCase, 'id' | 'title' | 'requirements' | 'run' | 'level'>;

/** Cases of one level: `BRK-` and the id, what a right broker does, and what that proves, in one word each. */
export function casesOf(level: BrokerCase['level']) {
  return (
    id: string,
    title: string,
    requirements: string,
    play: (scene: Scene) => Promise<void>,
    facts: Facts = {},
  ): BrokerCase => ({
    id: `BRK-${id}`,
    title,
    requirements: requirements.split(' '),
    level,
    ...facts,
    run: async (scene) => {
      await play(scene);
      scene.expectRightWords();
    },
  });
}

export const core = casesOf('core');
export const full = casesOf('full');
export const robust = casesOf('robust');
