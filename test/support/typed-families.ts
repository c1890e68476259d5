/** All families of one server. */
import { expect, test } from 'vitest';
import { jsons, jsonTexts } from './typed-json.ts';
import { lengthsOfBytes, lengthsOfTexts } from './typed-lengths.ts';
import { bits, decimalDigits, decimals, floats, integers, unsignedBigints } from './typed-numbers.ts';
import { addresses, places, vectors } from './typed-places.ts';
import { binaries, charsetFamily, charsetNames, compressed, labels, texts } from './typed-texts.ts';
import { datetimes, days, times, timestamps } from './typed-times.ts';
import { perColumn, type Flavor, type TypedValues, type ValueFamily } from './typed-values.ts';

const everywhere = [
  integers,
  unsignedBigints,
  decimals,
  decimalDigits,
  floats,
  bits,
  days,
  times,
  datetimes,
  timestamps,
  texts,
  lengthsOfTexts,
  binaries,
  lengthsOfBytes,
  labels,
];
/** A table's row has room for so many columns of text. */
const charsetsPerTable = 13;

function familiesOf(flavor: Flavor): ValueFamily[] {
  const names = charsetNames.filter((name) => flavor === 'mysql' || name !== 'gb18030');
  const sets = Array.from({ length: Math.ceil(names.length / charsetsPerTable) }, (_, at) =>
    names.slice(at * charsetsPerTable, (at + 1) * charsetsPerTable),
  );
  const own = flavor === 'mysql' ? [jsons(), vectors()] : [jsonTexts(), addresses(), compressed()];
  return [...everywhere.map((make) => make()), ...sets.map(charsetFamily), places(flavor), ...own];
}

/** A family of the usual size takes seconds; more values have more time. */
const timeoutMs = 60_000 * Math.max(1, perColumn / 2_000);

/** One test a family: at least two thousand values, equal on all three sides. */
export function testFamilies(flavor: Flavor, values: () => TypedValues): void {
  test.each(familiesOf(flavor))(
    `G6: $name on ${flavor}: log = SELECT = Postgres`,
    async (family) => {
      const proof = await values().prove(family);
      expect(proof.differences).toEqual([]);
      expect(proof.values).toBeGreaterThan(Math.min(2_000, perColumn));
      expect(proof.scanned).toBeGreaterThan(Math.min(2_000, perColumn) * 0.9);
    },
    timeoutMs,
  );
}
