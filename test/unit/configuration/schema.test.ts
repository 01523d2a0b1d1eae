import { Ajv } from 'ajv';
import secure from 'ajv/lib/refs/json-schema-secure.json' with { type: 'json' };
import { describe, expect, it } from 'vitest';
import { DEFAULT_LOCAL_RETENTION } from '../../../adapters/jobs/local/local-configuration.ts';
import { createTurnsByQueue } from '../../../adapters/jobs/local/queue-turns.ts';
import { DEFAULT_BRIDGE_RETENTION } from '../../../adapters/storage/bridge/bridge.ts';
import { EXTRA_ALGORITHMS } from '../../../adapters/storage/bridge/digests.ts';
import { MAX_WEIGHT } from '../../../broker/matching/share.ts';
import { DEFAULT_LIMITS } from '../../../broker/service/configuration.ts';
import { DEFAULT_RETENTION } from '../../../broker/service/housekeeping.ts';
import { DEFAULT_LOG_BOUNDS } from '../../../cli/rotate-log.ts';
import { environmentOverrides, flagOverrides, variableOf } from '../../../cli/configuration/override.ts';
import { loadConfiguration } from '../../../cli/configuration/load.ts';
import { keysWith, SETTING_KEYS } from '../../../cli/configuration/schema-keys.ts';
import schema from '../../../cli/configuration/configuration.schema.json' with { type: 'json' };
import { firstCells, page } from '../docs/pages.ts';

const DAY_MS = 86_400_000;
const keys = keysWith(['main']).map(({ path }) => path.join('.'));

describe('the schema of co-pilot.yaml', () => {
  it('bounds everything', () => {
    const isSecure = new Ajv({ strict: false }).compile(secure);
    for (const part of [schema, ...Object.values(schema.$defs)]) expect(isSecure(part)).toBe(true);
  });

  it.each(SETTING_KEYS.map((key) => [key.path.join('.'), key] as const))(
    '%s has a description and a right form in words',
    (_name, { description, form }) => {
      expect(description).toMatch(/^[A-Z].*\.$/);
      expect(form).toMatch(/^(?:a|an|the|bubblewrap|debug|true|\{) ?/);
    },
  );

  it('has the defaults of the code', async () => {
    const { settings } = await loadConfiguration({ directory: '/nowhere', environment: {} });
    expect(settings.limits).toEqual(DEFAULT_LIMITS);
    expect(settings.retention.broker).toEqual(DEFAULT_RETENTION);
    expect(settings.retention.local).toEqual(DEFAULT_LOCAL_RETENTION);
    const { unfinishedDays, discardedDays } = settings.retention.bridge;
    expect({ unfinishedMs: unfinishedDays * DAY_MS, discardedMs: discardedDays * DAY_MS }).toEqual(
      DEFAULT_BRIDGE_RETENTION,
    );
    expect(settings.log).toEqual({
      level: 'info',
      format: 'json',
      jobs: true,
      owners: false,
      ...DEFAULT_LOG_BOUNDS,
    });
  });

  it('has the bounds and the names of the code', () => {
    const { queue, weights } = schema.$defs;
    const { maximum } = weights.additionalProperties;
    expect([maximum, queue.properties.share.properties.weight.maximum]).toEqual([MAX_WEIGHT, MAX_WEIGHT]);
    expect(() => createTurnsByQueue({ main: { owners: { higgs: maximum } } })).not.toThrow();
    expect(() => createTurnsByQueue({ main: { owners: { higgs: maximum + 1 } } })).toThrow(/higgs/);
    expect(schema.properties.bridge.properties.digests.items.enum).toEqual(EXTRA_ALGORITHMS);
  });

  it('has every number with its unit or what it counts in the name', () => {
    const numbers = SETTING_KEYS.filter(({ type }) => type === 'integer').map(
      ({ path }) => path.at(-1) ?? '',
    );
    const counted =
      /Ms$|Seconds$|Days$|Bytes$|Files$|Records$|Port$|PerSecond$|PerAgent$|PerOwner$|^(?:bus|enrolment|bridge|port|maxParked|maxLost|prefetch|weight|agents|jobs|quickFailuresAllowed)$/;
    expect(numbers.filter((name) => !counted.test(name))).toEqual([]);
  });
});

describe('every key', () => {
  it.each(keys)('%s can be set by its variable and by --set, and by no other name', (key) => {
    const path = key.split('.');
    const isSecret = path[0] === 'secrets';
    const name = variableOf(isSecret ? [...path, 'env'] : path);
    const [byVariable] = environmentOverrides({ [name]: 'X' });
    expect(byVariable).toMatchObject({
      kind: 'override',
      override: { path: isSecret ? [...path, 'env'] : path },
    });
    const [byFlag] = flagOverrides([`${key}${isSecret ? '.env' : ''}=X`]);
    expect(byFlag?.kind).toBe('override');
    expect(environmentOverrides({ [`${name}__X`]: 'X' })[0]?.kind ?? 'wrong').toBe('wrong');
  });

  it('has a row in docs/configuration.md with its variable, and no other has', () => {
    const rows = firstCells(page('docs/configuration.md')).filter((cell) => /^[a-z]+\.?[\w.*]*$/.test(cell));
    expect(rows.toSorted()).toEqual(SETTING_KEYS.map(({ path }) => path.join('.')).toSorted());
    const text = page('docs/configuration.md');
    for (const { path, isSecret } of SETTING_KEYS)
      expect(text).toContain(
        `\`${variableOf(path.map((part) => (part === '*' ? 'main' : part)))}${isSecret ? '__FILE' : ''}\``,
      );
  });

  it('has the default and the form that the page says', () => {
    const text = page('docs/configuration.md');
    for (const { path, fallback, form } of SETTING_KEYS) {
      const row = text.split('\n').find((line) => line.startsWith(`| \`${path.join('.')}\` |`)) ?? '';
      expect(row).toContain(form.replaceAll('|', ','));
      if (fallback !== undefined)
        expect(row).toContain(
          `\`${Array.isArray(fallback) ? fallback.join(', ') : JSON.stringify(fallback).replaceAll('"', '')}\``,
        );
    }
  });
});
