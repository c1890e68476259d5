import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { TargetColumn } from '../../connectors/postgres/catalog.ts';
import type { ColumnSchema } from '../../src/core/change.ts';
import { fitOf } from '../../connectors/postgres/compatibility.ts';
import { arrayLiteral, copyCell } from '../../connectors/postgres/literals.ts';
import { type Policy, Refused, strict } from '../../connectors/postgres/policy.ts';
import { ewkb } from '../../connectors/postgres/values-binary.ts';
import { textWriter } from '../../connectors/postgres/values.ts';
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

const target = (base: string, typmod = -1, isArray = false): TargetColumn => ({
  name: 'c',
  base,
  castType: base,
  shownType: base,
  typmod,
  isEnum: false,
  labels: [],
  isArray,
  delimiter: ',',
  notNull: false,
  hasDefault: false,
  generated: false,
  identityAlways: false,
});
const source = (kind: ColumnSchema['kind'], rest: Partial<ColumnSchema> = {}): ColumnSchema => ({
  name: 'c',
  kind,
  type: kind,
  nullable: true,
  ...rest,
});

/** A writer under policies, and what it said to have altered. */
function written(column: ColumnSchema, to: TargetColumn, policies: Partial<Policy> = {}) {
  const told: string[] = [];
  return { told, write: textWriter(column, to, { ...strict, ...policies, altered: (what) => void told.push(what) }) };
}
const refusedWith = (remedy: string) => expect.objectContaining({ remedy: expect.stringContaining(remedy) as string }) as Error;

describe('G6: a value that Postgres cannot hold stops, or becomes what the configuration says', () => {
  const text = source('string', { type: 'varchar(9)' });
  const noDates = ['0000-00-00', '2026-00-10', '2026-01-00', '0000-05-05', '2026-02-31', '2023-02-29', '1900-02-29', '2026-04-31'];

  test('by default everything stops, and the remedy names the setting', () => {
    const { write, told } = written(text, target('varchar', 4 + 9));
    expect(() => write('a\0b')).toThrow(refusedWith('`values: { nul: strip }`'));
    for (const day of noDates) {
      expect(() => written(source('date'), target('date')).write(day)).toThrow(refusedWith('`values: { zeroDate: null }`'));
      expect(() => written(source('datetime'), target('timestamp')).write(`${day}T00:00:00`)).toThrow(Refused);
    }
    for (const time of ['-00:00:01', '24:00:00.000001', '838:59:59'])
      expect(() => written(source('time'), target('time')).write(time)).toThrow(refusedWith('`values: { timeRange: null }`'));
    expect(() => written(source('json', { type: 'json' }), target('jsonb')).write('{"a": "\\u0000"}')).toThrow(refusedWith('nul: strip'));
    expect(told).toEqual([]);
  });

  test('with a policy they are written, counted, and nothing else is touched', () => {
    const stripped = written(text, target('varchar', 4 + 9), { nul: 'strip' });
    expect(['a\0b\0', 'plain', '\0'].map(stripped.write)).toEqual(['ab', 'plain', '']);
    expect(stripped.told).toEqual(['nul', 'nul']);
    const nulled = written(source('date'), target('date'), { zeroDate: 'null' });
    expect([...noDates, '2026-11-21'].map(nulled.write)).toEqual([...noDates.map(() => null), '2026-11-21']);
    const escaped = written(text, target('varchar', 4 + 9), { nul: 'escape' });
    expect(escaped.write('a\0b')).toBe('a\\u0000b');
    // What is written is measured, not what was given.
    expect(() => escaped.write('\0\0')).toThrow(Refused);
    const within = written(source('time'), target('time'), { timeRange: 'null' });
    expect(['-00:00:01', '24:00:00', '23:59:59.999999'].map(within.write)).toEqual([null, '24:00:00', '23:59:59.999999']);
    expect(within.told).toEqual(['timeRange']);
  });

  test('a date of the configuration’s own stands for what is none', () => {
    const { write, told } = written(source('datetime'), target('timestamp'), { zeroDate: '0001-01-01' });
    expect(['0000-00-00T00:00:00', '2026-02-28T10:00:00'].map(write)).toEqual(['0001-01-01', '2026-02-28T10:00:00']);
    expect(told).toEqual(['zeroDate']);
  });

  test('every day that the calendar has is a date', () => {
    const { write } = written(source('date'), target('date'));
    for (const day of ['2024-02-29', '2000-02-29', '0004-02-29', '2026-01-31', '2026-04-30', '9999-12-31', '0001-01-01'])
      expect(write(day)).toBe(day);
  });

  test('U+0000 inside JSON, which is an escape there', () => {
    const jsonb = (nul: Policy['nul']) => written(source('json', { type: 'json' }), target('jsonb'), { nul });
    const value = String.raw`{"a\u0000": "\\u0000 \\\u0000", "b": "\\\\u0000"}`;
    expect(jsonb('strip').write(value)).toBe(String.raw`{"a": "\\u0000 \\", "b": "\\\\u0000"}`);
    const escaped = jsonb('escape').write(value) ?? '';
    expect(JSON.parse(escaped)).toEqual({ 'a\\u0000': '\\u0000 \\\\u0000', b: '\\\\u0000' });
    // Escaped backslashes alone are no U+0000.
    expect(jsonb('stop').write(String.raw`"\\u0000"`)).toBe(String.raw`"\\u0000"`);
    // json and text keep the escape as it is.
    expect(written(source('json', { type: 'json' }), target('json')).write(value)).toBe(value);
  });

  test.each([
    ['{"a": 1, "a": 2}', true],
    ['{"a": 1, "b": {"a": 2, "c": [{"a": 1}, {"a": 1}]}}', false],
    ['{"a": {"b": 1, "b": 2}}', true],
    [String.raw`{"a": 1, "\u0061": 2}`, true],
    ['["a", "a", {"x": "a"}]', false],
    [String.raw`{"a\"": 1, "a": "{\"a\": 1, \"a\": 2}"}`, false],
    ['{"a": [{"b": 1}], "a": 1}', true],
    ['not json "a" "a"', false],
  ])('a text that goes to jsonb must not name anything twice: %s', (value, isRefused) => {
    const { write } = written(source('string', { type: 'longtext' }), target('jsonb'));
    if (isRefused) expect(() => write(value)).toThrow(refusedWith('json or text'));
    else expect(write(value)).toBe(value);
  });
});

describe('texts', () => {
  const varchar = (room: number) => written(source('string', { type: 'text' }), target('varchar', 4 + room)).write;

  test('half a surrogate pair is no text', () => {
    for (const half of ['\ud83d', '\ude00', 'a\ud83db', '\ude00\ud83d']) expect(() => varchar(9)(half)).toThrow(Refused);
    expect(varchar(9)('\ud83d\ude00')).toBe('😀');
  });

  test('a narrow column is measured in characters, as Postgres counts them', () => {
    expect(['😀😀', 'ab', 'ä😀'].map(varchar(2))).toEqual(['😀😀', 'ab', 'ä😀']);
    for (const text of ['😀😀😀', 'abc', '😀a ']) expect(() => varchar(2)(text)).toThrow(Refused);
  });

  test.each<[Policy['nul'], string]>([
    ['strip', String.raw`{"a": 1, "a\u0000": 2}`],
    ['strip', String.raw`{"x": [{"\u0000": 1, "": 2}]}`],
    ['escape', String.raw`{"a\u0000": 1, "a\\u0000": 2}`],
  ])('G6: nul: %s must not make two names of one object equal: %s', (nul, value) => {
    const { write } = written(source('json', { type: 'json' }), target('jsonb'), { nul });
    expect(() => write(value)).toThrow(refusedWith('json or text'));
  });

  const uuid = '123e4567-e89b-12d3-a456-426655440000';
  test.each<[string, readonly string[], readonly string[]]>([
    ['uuid', [uuid], [uuid.toUpperCase(), `{${uuid}}`, uuid.replaceAll('-', ''), ` ${uuid}`, `${uuid}\n`, '', 'x']],
    [
      'inet',
      [
        '0.0.0.0',
        '10.0.0.1',
        '10.0.0.1/24',
        '1.2.3.4/0',
        '::',
        '::1',
        '::2',
        '::1.2.3.4',
        '::ffff:1.2.3.4',
        '2001:db8::1/64',
        '1:0:0:2::',
        '1:0:2:3:4:5:6:7',
      ],
      [
        '10.0.0.01',
        '10.0.0.1/32',
        '10.0.0.1/024',
        '10',
        '10.0.0',
        '256.0.0.1',
        '::1/128',
        'FE80::1',
        '0::1',
        '1:0:0:2:0:0:0:0',
        '::ffff:102:304',
        '::0.0.0.1',
        '1::2::3',
        'fe80::1%eth0',
        '12345::',
        '1:2:3:4:5:6:7',
        '1:2:3:4:5:6:7:8:9',
        ' ::1',
        '',
      ],
    ],
  ])('G6: a text for %s is spelled as Postgres prints it, or refused', (base, kept, refused) => {
    const { write } = written(source('string', { type: 'varchar(60)', length: 60 }), target(base));
    expect(kept.map(write)).toEqual(kept);
    for (const text of refused) expect(() => write(text), text).toThrow(refusedWith('text or varchar'));
  });
});

test('G6: xml would keep a text otherwise than it was, so it is no place for one', () => {
  expect(fitOf(source('string', { type: 'text' }), target('xml')).fit).toBe('lossy');
});

describe('geometries and vectors', () => {
  const little = Buffer.from('0101000000000000000000f03f0000000000000040', 'hex');
  const big = Buffer.from('00000000013ff00000000000004000000000000000', 'hex');

  test('EWKB holds the SRID where there is one, in the value’s own byte order', () => {
    expect(ewkb({ wkb: little, srid: 0 })).toEqual(little);
    expect(ewkb({ wkb: little, srid: null })).toEqual(little);
    expect(ewkb({ wkb: little, srid: 4326 }).toString('hex')).toBe('0101000020e6100000000000000000f03f0000000000000040');
    expect(ewkb({ wkb: big, srid: 4326 }).toString('hex')).toBe('0020000001000010e63ff00000000000004000000000000000');
  });

  test('as plain WKB when asked for, and the lost SRID is counted', () => {
    const { write, told } = written(source('geometry'), target('bytea'), { geometry: 'wkb' });
    expect([0, 4326].map((srid) => write({ wkb: little, srid }))).toEqual([`\\x${little.toString('hex')}`, `\\x${little.toString('hex')}`]);
    expect(told).toEqual(['srid']);
  });

  test('a value without SRID never takes the column’s by itself', () => {
    const inColumn = (srid: number, form: Policy['geometry']) =>
      written(source('geometry'), target('geometry', srid * 256), { geometry: form });
    for (const srid of [0, null]) expect(() => inColumn(4326, 'ewkb').write({ wkb: little, srid })).toThrow(refusedWith('geometry: wkb'));
    expect(inColumn(0, 'ewkb').write({ wkb: little, srid: 0 })).toBe(little.toString('hex').toUpperCase());
    expect(inColumn(4326, 'ewkb').write({ wkb: little, srid: 4326 })).toMatch(/^0101000020E6100000/);
    const asked = inColumn(4326, 'wkb');
    for (const srid of [4326, null, 0, 3857]) expect(asked.write({ wkb: little, srid })).toBe(little.toString('hex').toUpperCase());
    expect(asked.told).toEqual(['srid', 'srid', 'srid']);
    const any = inColumn(0, 'wkb');
    for (const srid of [null, 0, 4326]) any.write({ wkb: little, srid });
    expect(any.told).toEqual(['srid']);
  });

  test('a vector in each form', () => {
    const value = [1.5, -0, 3.4028235e38, 1e-45];
    expect(written(source('vector'), target('_float4', -1, true)).write(value)).toBe('{1.5,-0,3.4028235e+38,1e-45}');
    expect(written(source('vector'), target('vector')).write(value)).toBe('[1.5,-0,3.4028235e+38,1e-45]');
    expect(written(source('vector'), target('bytea')).write(value)).toBe('\\x0000c03f00000080ffff7f7f01000000');
    expect(() => written(source('vector'), target('vector')).write('[1]')).toThrow(Refused);
  });

  test('numbers and booleans that have no place', () => {
    expect(() => written(source('double'), target('numeric')).write(-0)).toThrow(Refused);
    expect(() => written(source('integer', { bits: 8 }), target('bool')).write(2)).toThrow(Refused);
    expect([0, 1].map(written(source('integer', { bits: 8 }), target('bool')).write)).toEqual(['f', 't']);
  });
});
