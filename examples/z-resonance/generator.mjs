// Generates lepton pairs around the Z resonance: an example of the kind of job a campaign runs. Plain JavaScript for any
// Node from 18 on, no dependencies; the same card and seed give the same bytes on the same Node.
//
//   node generator.mjs card.txt seed.txt
//
// Writes histogram.json (masses as the detector sees them) and events.csv.gz (the first events one by one).
import { readFileSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const FIELDS = [
  'events',
  'stored',
  'mass',
  'width',
  'continuum',
  'asymmetry',
  'slope',
  'resolution',
  'lower',
  'upper',
  'bins',
];

/** How often each lepton crosses the tracker. */
const LAYERS = 12;

/** Beyond this the distribution of the decay angle would be negative somewhere. */
const LARGEST_ASYMMETRY = 0.7;

function readCard(path) {
  const card = {};
  for (const [index, line] of readFileSync(path, 'utf8').split('\n').entries()) {
    const text = line.replace(/#.*/, '').trim();
    if (text === '') continue;
    const [name, value] = text.split('=').map((part) => part.trim());
    if (!FIELDS.includes(name)) throw new Error(`${path}:${index + 1}: no field ${name}`);
    if (value === undefined || value === '' || !Number.isFinite(Number(value))) {
      throw new Error(`${path}:${index + 1}: ${name} needs a number`);
    }
    card[name] = Number(value);
  }
  const missing = FIELDS.filter((name) => !(name in card));
  if (missing.length > 0) throw new Error(`${path}: missing ${missing.join(', ')}`);
  return card;
}

function readSeed(path) {
  const seed = Number(
    readFileSync(path, 'utf8')
      .trim()
      .replace(/^seed=/, ''),
  );
  if (!Number.isSafeInteger(seed) || seed < 0) throw new Error(`${path}: a seed is a whole number from 0 up`);
  return seed;
}

/** Uniform numbers in [0, 1): xoshiro128**, seeded through splitmix32. */
function createUniform(seed) {
  let mix = (seed ^ Math.floor(seed / 2 ** 32)) | 0;
  const word = () => {
    mix = (mix + 0x9e3779b9) | 0;
    let value = Math.imul(mix ^ (mix >>> 16), 0x21f0aaad);
    value = Math.imul(value ^ (value >>> 15), 0x735a2d97);
    return (value ^ (value >>> 15)) | 0;
  };
  let [a, b, c, d] = [word(), word(), word(), word()];
  return () => {
    const scrambled = Math.imul(b, 5);
    const result = Math.imul((scrambled << 7) | (scrambled >>> 25), 9);
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return (result >>> 0) / 2 ** 32;
  };
}

/** Standard normal numbers: the polar method, two at a time. */
function createNormal(uniform) {
  let spare;
  return () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    for (;;) {
      const x = 2 * uniform() - 1;
      const y = 2 * uniform() - 1;
      const square = x * x + y * y;
      if (square >= 1 || square === 0) continue;
      const factor = Math.sqrt((-2 * Math.log(square)) / square);
      spare = y * factor;
      return x * factor;
    }
  };
}

/** The line shape, 1 + continuum at the peak: a relativistic Breit-Wigner with running width, and 1/s from photon exchange. */
function createLineShape({ mass, width, continuum }) {
  const squaredMass = mass * mass;
  return (m) => {
    const s = m * m;
    const running = (s * width) / mass;
    const resonance = (s * width * width) / ((s - squaredMass) ** 2 + running * running);
    return (m / mass) * (resonance + (continuum * squaredMass) / s);
  };
}

/** Masses by acceptance and rejection under a flat ceiling, found on a fine grid. */
function createMass(card, uniform) {
  const shape = createLineShape(card);
  const span = card.upper - card.lower;
  let ceiling = 0;
  for (let step = 0; step <= 20_000; step++)
    ceiling = Math.max(ceiling, shape(card.lower + (span * step) / 20_000));
  ceiling *= 1.001;
  return () => {
    for (;;) {
      const m = card.lower + span * uniform();
      if (uniform() * ceiling < shape(m)) return m;
    }
  };
}

/** The cosine of the angle of the negative lepton: 1 + c^2 + 8/3 A c, where A depends on the mass. */
function createCosine(card, uniform) {
  const squaredMass = card.mass * card.mass;
  return (m) => {
    const raw = card.asymmetry + (card.slope * (m * m - squaredMass)) / squaredMass;
    const asymmetry = Math.max(-LARGEST_ASYMMETRY, Math.min(LARGEST_ASYMMETRY, raw));
    const ceiling = 2 + (8 / 3) * Math.abs(asymmetry);
    for (;;) {
      const c = 2 * uniform() - 1;
      if (uniform() * ceiling < 1 + c * c + (8 / 3) * asymmetry * c) return c;
    }
  };
}

/** What the tracker makes of a momentum: every layer measures its logarithm with a Gaussian error, the mean is taken. */
function createTracker({ resolution }, normal) {
  const layerError = resolution * Math.sqrt(LAYERS);
  return (momentum) => {
    let sum = 0;
    for (let layer = 0; layer < LAYERS; layer++) sum += normal();
    return momentum * Math.exp((layerError * sum) / LAYERS);
  };
}

function generate(card, seed) {
  const uniform = createUniform(seed);
  const normal = createNormal(uniform);
  const drawMass = createMass(card, uniform);
  const drawCosine = createCosine(card, uniform);
  const measure = createTracker(card, normal);
  const counts = new Array(card.bins).fill(0);
  const tally = { underflow: 0, overflow: 0, forward: 0, backward: 0 };
  const lines = ['event,mass,cosine,phi,momentum_minus,momentum_plus,measured_mass'];
  const twentieth = Math.max(1, Math.floor(card.events / 20));
  for (let event = 0; event < card.events; event++) {
    const m = drawMass();
    const cosine = drawCosine(m);
    const phi = 2 * Math.PI * uniform();
    const minus = measure(m / 2);
    const plus = measure(m / 2);
    // Back to back and massless in this frame: the invariant mass is twice the geometric mean of the momenta.
    const measured = 2 * Math.sqrt(minus * plus);
    const bin = Math.floor(((measured - card.lower) / (card.upper - card.lower)) * card.bins);
    if (bin < 0) tally.underflow++;
    else if (bin >= card.bins) tally.overflow++;
    else counts[bin]++;
    if (cosine > 0) tally.forward++;
    else tally.backward++;
    if (event < card.stored) {
      const values = [m, cosine, phi, minus, plus, measured].map((value) => value.toFixed(5));
      lines.push(`${event},${values.join(',')}`);
    }
    if ((event + 1) % twentieth === 0) console.log(`progress ${((event + 1) / card.events).toFixed(2)}`);
  }
  return { counts, tally, lines };
}

const [cardPath = 'card.txt', seedPath = 'seed.txt'] = process.argv.slice(2);
const card = readCard(cardPath);
const seed = readSeed(seedPath);
const { counts, tally, lines } = generate(card, seed);
const histogram = {
  kind: 'histogram',
  quantity: 'mass of the lepton pair',
  unit: 'GeV',
  lower: card.lower,
  upper: card.upper,
  resolution: card.resolution,
  seeds: [seed],
  events: card.events,
  ...tally,
  counts,
};
writeFileSync('histogram.json', `${JSON.stringify(histogram)}\n`);
writeFileSync('events.csv.gz', gzipSync(`${lines.join('\n')}\n`));
console.log(`seed ${seed}: ${card.events} events, ${tally.forward} forward, ${tally.backward} backward`);
