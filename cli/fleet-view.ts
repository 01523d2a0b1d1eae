import type { AgentView } from './demo-view.ts';
import type { Line } from './child-program.ts';

const MAX_TEXT = 64;

/** Follows what the agents say of themselves (agent/loop/events.ts), one view each. */
export class FleetView {
  readonly #views = new Map<number, AgentView>();
  readonly #onChange: (view: AgentView) => void;

  constructor(onChange: (view: AgentView) => void) {
    this.#onChange = onChange;
  }

  /** A line of one agent. */
  line(index: number, line: Line): void {
    const view = this.#views.get(index) ?? empty(index);
    const changed = changedBy(view, line);
    if (changed === undefined) return;
    this.#views.set(index, changed);
    this.#onChange(changed);
  }

  /** Its process is gone, or stands still. */
  say(index: number, phase: string): void {
    const changed = { ...(this.#views.get(index) ?? empty(index)), phase, job: '', progress: 0 };
    this.#views.set(index, changed);
    this.#onChange(changed);
  }
}

function empty(index: number): AgentView {
  return {
    name: `agent-${index + 1}`,
    isolation: '',
    phase: 'starting',
    job: '',
    attempt: 0,
    progress: 0,
    committed: 0,
  };
}

function changedBy(view: AgentView, line: Line): AgentView | undefined {
  switch (line['kind']) {
    case 'isolation':
      return { ...view, isolation: text(line['method']) };
    case 'link':
      return line['state'] === 'up' ? { ...view, phase: 'connected' } : { ...view, phase: 'connecting' };
    case 'slot': {
      const job = text(line['job']);
      const progress = job === '' ? 0 : number(line['progress']);
      return { ...view, phase: text(line['phase']), job, attempt: number(line['attempt']), progress };
    }
    case 'attempt':
      return line['end'] === 'committed' ? { ...view, committed: view.committed + 1 } : undefined;
    default:
      return undefined;
  }
}

/** Words of an agent end up on a terminal, which obeys more than letters. */
function text(value: unknown): string {
  return typeof value === 'string' ? value.replaceAll(/[^ -~]/g, '').slice(0, MAX_TEXT) : '';
}

function number(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
