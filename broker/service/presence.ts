/** Agents remembered after they went; the one heard of longest ago is forgotten first. */
const MAX_REMEMBERED = 65_536;

/** When each agent was last heard, by this machine's clock, since this start of the broker; for people. */
export interface Presence {
  heard(agent: string, wallMs: number): void;
  /** Undefined where nothing was heard of it, or too long ago. */
  lastHeardMs(agent: string): number | undefined;
}

export function createPresence(maxRemembered = MAX_REMEMBERED): Presence {
  const heard = new Map<string, number>();
  return {
    heard(agent, wallMs) {
      // Deleted and set again, so that the map's order is that of time.
      heard.delete(agent);
      heard.set(agent, wallMs);
      if (heard.size <= maxRemembered) return;
      const oldest = heard.keys().next();
      if (oldest.done !== true) heard.delete(oldest.value);
    },
    lastHeardMs: (agent) => heard.get(agent),
  };
}
