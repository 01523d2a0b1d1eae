import type { Case } from '../case.ts';
import type { Stage } from './stage.ts';

/** Every case an agent is held against. */
export const agentCases: readonly Case<Stage>[] = [];
