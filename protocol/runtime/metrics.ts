import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Meter, MetricDefinition, MetricDefinitions } from './meter.ts';

/** The metrics of one program, in the text format of Prometheus. */
export interface Metrics<Name extends string> extends Meter<Name> {
  readonly contentType: string;
  text(): Promise<string>;
}

/** Values of one label; what comes beyond is counted together as `other`. */
const MAX_LABELS = 64;
const OTHER = 'other';
/** How often the lag of the event loop is looked at; a program that waits should sleep. */
const LAG_STEP_MS = 100;

/** `collect` is asked before each reading for what is only looked at then. */
export function createMetrics<Name extends string>(
  definitions: MetricDefinitions<Name>,
  collect: (meter: Meter<Name>) => void | Promise<void>,
): Metrics<Name> {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_STEP_MS });
  const instruments = new Map<string, Instrument>();
  for (const [name, definition] of Object.entries<MetricDefinition>(definitions))
    instruments.set(name, createInstrument(registry, name, definition));
  const meter: Meter<Name> = {
    add: (name, label, by = 1) => instruments.get(name)?.add(by, label),
    set: (name, value, label) => instruments.get(name)?.set(value, label),
    observe: (name, value, label) => instruments.get(name)?.observe(value, label),
  };
  return {
    ...meter,
    contentType: registry.contentType,
    async text() {
      await collect(meter);
      return registry.metrics();
    },
  };
}

interface Instrument {
  add(by: number, label: string | undefined): void;
  set(value: number, label: string | undefined): void;
  observe(value: number, label: string | undefined): void;
}

function createInstrument(registry: Registry, name: string, definition: MetricDefinition): Instrument {
  const { help, label } = definition;
  const options = { name, help, labelNames: label === undefined ? [] : [label], registers: [registry] };
  const values = boundedLabels(label);
  const none = (): void => {
    throw new TypeError(`${name} is a ${definition.kind}`);
  };
  switch (definition.kind) {
    case 'counter': {
      const counter = new Counter(options);
      const last = new Map<string, number>();
      return {
        add: (by, value) => counter.inc(values(value), by),
        set(value, of) {
          const key = of ?? '';
          counter.inc(values(of), Math.max(0, value - (last.get(key) ?? 0)));
          last.set(key, value);
        },
        observe: none,
      };
    }
    case 'gauge': {
      const gauge = new Gauge(options);
      return {
        add: (by, value) => gauge.inc(values(value), by),
        set: (value, of) => gauge.set(values(of), value),
        observe: none,
      };
    }
    case 'histogram': {
      const histogram = new Histogram({ ...options, buckets: [...definition.buckets] });
      return { add: none, set: none, observe: (value, of) => histogram.observe(values(of), value) };
    }
  }
}

type Labels = Record<string, string>;

function boundedLabels(label: string | undefined): (value: string | undefined) => Labels {
  const known = new Map<string, Labels>();
  return (value = OTHER) => {
    if (label === undefined) return {};
    const found = known.get(value);
    if (found !== undefined) return found;
    if (known.size >= MAX_LABELS) return { [label]: OTHER };
    const made = { [label]: value };
    known.set(value, made);
    return made;
  };
}
