import { createHash } from 'node:crypto';
import { createMemoryStore } from '../../../agent/store/memory.ts';
import type { MemoryFile } from '../../../agent/store/memory.ts';
import { attemptKey } from '../../../agent/store/store.ts';
import { agentStoreConformance } from '../../conformance/agent-store.ts';

agentStoreConformance('memory', { holdsFiles: false }, () => {
  const files = new Map<string, MemoryFile>();
  const said = new Map<string, number>();
  const store = createMemoryStore({
    produce: (attempt, { name }) => files.get(`${attemptKey(attempt)}/${name}`),
    progress: (attempt) => said.get(attemptKey(attempt)),
  });
  return {
    open: async () => store,
    async leave(_store, attempt, name, bytes) {
      const sha256 = createHash('sha256').update(bytes).digest('hex');
      files.set(`${attemptKey(attempt)}/${name}`, { size: bytes.length, sha256 });
    },
    async say(_store, attempt, progress) {
      said.set(attemptKey(attempt), Number(progress));
    },
    async damage(attempt) {
      store.corrupt(attempt);
    },
    async failNextSave() {
      store.failNextSave();
    },
    dispose: () => Promise.resolve(),
  };
});
