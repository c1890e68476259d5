/** What Postgres cannot hold: it stops, and passes only as the configuration says. */
import type { Carriage, Landing } from './typed-carry.ts';
import type { Flavor } from './typed-values.ts';

export interface Policy extends Carriage, Landing {
  readonly name: string;
  readonly only?: Flavor;
  /** Setting under `values` → what Postgres holds then. */
  readonly ways: readonly (readonly [settings: Readonly<Record<string, unknown>>, shown: readonly (string | null)[]])[];
}

/** What Postgres cannot hold: each stops, and passes as a policy says. */
export const policies: readonly Policy[] = [
  {
    name: 'U+0000 in JSON that goes to jsonb',
    type: 'JSON',
    only: 'mysql',
    values: [`'{"a\\\\u0000": "x\\\\u0000y"}'`],
    ways: [
      [{ nul: 'strip' }, ['{"a": "xy"}']],
      [{ nul: 'escape' }, ['{"a\\\\u0000": "x\\\\u0000y"}']],
    ],
  },
  {
    name: 'U+0000 in a text',
    type: 'VARCHAR(9)',
    values: ["'a\\0b'"],
    ways: [
      [{ nul: 'strip' }, ['ab']],
      [{ nul: 'escape' }, ['a\\u0000b']],
      [{ columns: { c: { nul: 'strip' } } }, ['ab']],
    ],
  },
  {
    name: 'a zero DATE',
    type: 'DATE',
    values: ["'0000-00-00'"],
    ways: [
      [{ zeroDate: 'null' }, [null]],
      [{ zeroDate: '0001-01-01' }, ['0001-01-01']],
      [{ zeroDate: '-infinity' }, ['-infinity']],
    ],
  },
  { name: 'a DATE without a day', type: 'DATE', values: ["'2026-11-00'", "'2026-00-21'"], ways: [[{ zeroDate: 'null' }, [null, null]]] },
  { name: 'the year 0', type: 'DATE', values: ["'0000-01-01'"], ways: [[{ zeroDate: 'null' }, [null]]] },
  {
    name: 'a zero DATETIME',
    type: 'DATETIME(3)',
    values: ["'0000-00-00 00:00:00'"],
    ways: [
      [{ zeroDate: 'null' }, [null]],
      [{ zeroDate: '0001-01-01' }, ['0001-01-01 00:00:00']],
    ],
  },
  {
    name: 'a zero TIMESTAMP that must not be NULL',
    type: "TIMESTAMP NOT NULL DEFAULT '2001-01-01'",
    values: ["'0000-00-00 00:00:00'"],
    ways: [[{ zeroDate: '0001-01-01' }, ['0001-01-01 00:00:00+00']]],
  },
  {
    name: 'a day that no month has',
    type: 'DATE',
    values: ["'2026-02-30'"],
    session: ["SET sql_mode = 'ALLOW_INVALID_DATES'", "SET sql_mode = ''"],
    ways: [[{ zeroDate: 'null' }, [null]]],
  },
  { name: 'TINYINT(1) with 2 in a boolean column', type: 'TINYINT(1)', values: ['1', '2'], target: 'boolean', ways: [] },
  {
    name: 'a negative TIME in a time column',
    type: 'TIME',
    values: ["'-00:00:01'"],
    target: 'time',
    ways: [[{ timeRange: 'null' }, [null]]],
  },
  {
    name: 'a TIME beyond a day in a time column',
    type: 'TIME',
    values: ["'24:00:01'"],
    target: 'time',
    ways: [[{ timeRange: 'null' }, [null]]],
  },
];
