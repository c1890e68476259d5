/** Damaged binary JSON: what is refused, and that whatever is printed is what the bytes say. */
import { expect, test } from 'vitest';
import { JsonOut } from '../../connectors/mysql/values/row-out.ts';
import { writeJson } from '../../connectors/mysql/json/json-text.ts';
import { int, raw, treeBytes, type Tree } from '../support/json-bytes.ts';
import { JsonText } from '../support/judge-envelope.ts';
import { judgeJson, saysTheSame } from '../support/judge-json.ts';
import { fuzzRuns, fuzzSeed, fuzzTimeoutMs, mutated } from '../support/mutate.ts';
import { seeded, type Random } from '../support/random.ts';

console.info(`fuzz: FUZZ_SEED=${fuzzSeed}, ${fuzzRuns} mutations`);

const out = new JsonOut();
const longest = 1 << 20;

/** The document's text, with these bytes all around it; undefined where it is refused. */
function textOf(document: Buffer, junk: number): string | undefined {
  const around = Buffer.alloc(32, junk);
  const chunk = Buffer.concat([around, document, around]);
  out.at = out.start;
  out.mostBytes = longest;
  const isWhole = writeJson(out, 40, chunk, around.length, around.length + document.length);
  const bytes = Buffer.from(out.slice(0, out.at - out.start));
  out.abandon();
  return isWhole ? (JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as string) : undefined;
}

const scalars: readonly Tree[] = [
  raw(4, '00', 'null'),
  raw(4, '01', 'true'),
  raw(10, 'ffffffffffffffff', '18446744073709551615'),
  raw(9, '0000000000000080', '-9223372036854775808'),
  raw(11, '9a9999999999f13f', '1.1'),
  raw(15, 'f6 05 03 02 81 0a', '1.10'),
  'text',
  'ü "quoted" \\ \n',
  '',
];

function treeOf(random: Random, depth: number): Tree {
  if (depth === 0 || random.chance(0.4)) return random.chance(0.4) ? int(random.between(-70_000, 70_000)) : random.pick(scalars);
  const size = random.int(5);
  if (random.chance(0.5)) return Array.from({ length: size }, () => treeOf(random, depth - 1));
  return new Map(
    Array.from({ length: size }, (_, index) => [random.pick(['k', 'key', 'ü', 'long name', '']) + index, treeOf(random, depth - 1)]),
  );
}

test(`G1 G6: a damaged document is refused, or printed as exactly what its bytes say, seed ${fuzzSeed}`, { timeout: fuzzTimeoutMs }, () => {
  const random = seeded(fuzzSeed);
  const counts = { refused: 0, read: 0 };
  for (let run = 0; run < fuzzRuns; run += 1) {
    const good = treeBytes(treeOf(random, 4), random.chance(0.3));
    const bad = mutated(good, random);
    const place = () => `FUZZ_SEED=${fuzzSeed}, run ${run}: ${bad.toString('hex')}`;
    const text = textOf(bad, 0);
    if (text !== textOf(bad, 0xff)) expect.fail(`it depends on what lies around it: ${place()}`);
    counts[text === undefined ? 'refused' : 'read'] += 1;
    if (text === undefined) continue;
    const judged = judgeJson(bad);
    if (judged === undefined || !saysTheSame(new JsonText(text).document(), judged)) expect.fail(`it is printed as ${text}: ${place()}`);
    // Parts that lie over each other could make a small document endless.
    if (text.length > 200 * (bad.length + 1)) expect.fail(`it prints ${text.length} characters: ${place()}`);
  }
  expect(Math.min(counts.refused, counts.read)).toBeGreaterThan(fuzzRuns / 50);
});
