import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { arrayLiteral, copyCell } from '../../connectors/postgres/values.ts';
import { oddText } from '../contract/sink-histories.ts';

/** How Postgres reads an array literal and a line of COPY, by its documentation: small and slow. */
function readArray(literal: string): (string | null)[] {
  const elements: (string | null)[] = [];
  let at = 1;
  while (literal[at] !== '}') {
    if (literal[at] === '"') {
      let text = '';
      for (at += 1; literal[at] !== '"'; at += 1) {
        if (literal[at] === '\\') at += 1;
        text += literal[at];
      }
      at += 1;
      elements.push(text);
    } else {
      const end = literal.slice(at).search(/[,}]/) + at;
      const text = literal.slice(at, end);
      elements.push(text.toUpperCase() === 'NULL' ? null : text);
      at = end;
    }
    if (literal[at] === ',') at += 1;
  }
  return elements;
}

const escapes: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
function readCopy(line: string): (string | null)[] {
  return line
    .split('\t')
    .map((cell) => (cell === '\\N' ? null : cell.replace(/\\(.)/gs, (_, character: string) => escapes[character] ?? character)));
}

const cells = fc.array(fc.option(oddText, { nil: null }), { minLength: 1, maxLength: 8 });

describe('literals', () => {
  const seed = Date.now() % 2 ** 31;
  process.stdout.write(`postgres literals: seed ${seed}\n`);

  test('an array literal reads back as its elements', () => {
    fc.assert(
      fc.property(cells, (texts) => {
        expect(readArray(arrayLiteral(texts))).toEqual(texts);
      }),
      { seed, numRuns: 500 },
    );
  });

  test('a line of COPY reads back as its cells, and is one line', () => {
    fc.assert(
      fc.property(cells, (texts) => {
        const line = texts.map(copyCell).join('\t');
        expect(line).not.toMatch(/[\n\r]/);
        expect(readCopy(line)).toEqual(texts);
      }),
      { seed, numRuns: 500 },
    );
  });
});
