import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { TargetColumn } from '../../connectors/postgres/catalog.ts';
import { type Alteration, arrayLiteral, copyCell, Refused, textWriter } from '../../connectors/postgres/values.ts';
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

describe('G6: a value that Postgres cannot hold stops, or becomes what the configuration says', () => {
  const target = (base: string, typmod = -1): TargetColumn => ({
    name: 'c',
    base,
    castType: base,
    shownType: base,
    typmod,
    isEnum: false,
    isArray: false,
    notNull: false,
    hasDefault: false,
    generated: false,
    identityAlways: false,
  });
  const text = { name: 'c', kind: 'string', type: 'varchar(9)', nullable: true } as const;
  const date = { name: 'c', kind: 'date', type: 'date', nullable: true } as const;
  const written = (nul: Alteration['nul'], zeroDate: Alteration['zeroDate'] = 'stop') => {
    const told: string[] = [];
    const policy = { nul, zeroDate, altered: (what: string) => void told.push(what) };
    return { told, text: textWriter(text, target('varchar', 4 + 9), policy), date: textWriter(date, target('date'), policy) };
  };

  test('by default both stop, and the remedy names the setting', () => {
    const { text, date, told } = written('stop');
    expect(() => text('a\0b')).toThrow(expect.objectContaining({ remedy: expect.stringContaining('`values: { nul: strip }`') as string }));
    for (const day of ['0000-00-00', '2026-00-10', '2026-01-00'])
      expect(() => date(day)).toThrow(
        expect.objectContaining({ remedy: expect.stringContaining('`values: { zeroDate: null }`') as string }),
      );
    expect(told).toEqual([]);
  });

  test('with a policy they are written, counted, and nothing else is touched', () => {
    const stripped = written('strip', 'null');
    expect(['a\0b\0', 'plain', '\0'].map(stripped.text)).toEqual(['ab', 'plain', '']);
    expect(['0000-00-00', '2026-11-21'].map(stripped.date)).toEqual([null, '2026-11-21']);
    expect(stripped.told).toEqual(['nul', 'nul', 'zeroDate']);
    const escaped = written('escape');
    expect(escaped.text('a\0b')).toBe('a\\u0000b');
    // What is written is measured, not what was given.
    expect(() => escaped.text('\0\0')).toThrow(Refused);
  });
});
