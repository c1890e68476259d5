/** Damage to bytes, as a disk, a cable or a wrong writer would do it: seeded, and never none at all. */
import type { Random } from './random.ts';

/** How many mutations a fuzz suite does: `FUZZ_MUTATIONS=1000000` for a long run, `FUZZ_SEED=7` to see one again. */
export const fuzzRuns = Number(process.env['FUZZ_MUTATIONS'] ?? 3000);
export const fuzzSeed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 1_000_000);
/** A long run works for minutes in one test. */
export const fuzzTimeoutMs = 60_000 + 3 * fuzzRuns;

/** Where lengths, signs and ends of ranges lie. */
const edges = [0, 1, 2, 0x7f, 0x80, 0x81, 0xfa, 0xfb, 0xfc, 0xfd, 0xfe, 0xff] as const;

type Damage = (bytes: Buffer, random: Random, from: number) => Buffer;

const flipBit: Damage = (bytes, random, from) => {
  const at = random.between(from, bytes.length - 1);
  bytes[at] = (bytes[at] as number) ^ (1 << random.int(8));
  return bytes;
};
const setByte: Damage = (bytes, random, from) => {
  const at = random.between(from, bytes.length - 1);
  bytes[at] = random.chance(0.7) ? random.pick(edges) : random.int(256);
  return bytes;
};
const cut: Damage = (bytes, random, from) => bytes.subarray(0, random.between(from, bytes.length - 1));
const remove: Damage = (bytes, random, from) => {
  const at = random.between(from, bytes.length - 1);
  return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.between(1, 8))]);
};
const insert: Damage = (bytes, random, from) => {
  const at = random.between(from, bytes.length);
  const more = Buffer.from(Array.from({ length: random.between(1, 6) }, () => (random.chance(0.5) ? random.pick(edges) : random.int(256))));
  return Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]);
};
const repeat: Damage = (bytes, random, from) => {
  const at = random.between(from, bytes.length - 1);
  const part = bytes.subarray(at, at + random.between(1, 24));
  return Buffer.concat([bytes.subarray(0, at), part, bytes.subarray(at)]);
};
const exchange: Damage = (bytes, random, from) => {
  const size = random.between(1, 8);
  const [one, two] = [random.between(from, bytes.length - 1), random.between(from, bytes.length - 1)];
  const kept = Buffer.from(bytes.subarray(one, one + size));
  bytes.copyWithin(one, two, Math.min(two + size, bytes.length));
  bytes.set(kept.subarray(0, Math.max(0, bytes.length - two)), two);
  return bytes;
};

const sameLength = [flipBit, setByte, exchange] as const;
const anyLength = [flipBit, flipBit, setByte, setByte, cut, remove, insert, repeat, exchange] as const;

/** One to three damages behind the first `from` bytes; another Buffer, and surely other bytes. */
export function mutated(bytes: Buffer, random: Random, { from = 0, keepLength = false } = {}): Buffer {
  for (;;) {
    let bad: Buffer = Buffer.from(bytes);
    for (let left = random.chance(0.7) ? 1 : random.between(2, 3); left > 0 && bad.length > from; left -= 1)
      bad = random.pick(keepLength ? sameLength : anyLength)(bad, random, from);
    if (!bad.equals(bytes)) return Buffer.from(bad);
  }
}
