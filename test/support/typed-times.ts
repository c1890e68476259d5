/** Days and times, with every number of fraction digits. */
import * as fc from 'fast-check';
import { half, quote, some, type ValueColumn, type ValueFamily } from './typed-values.ts';

const same = (text: string) => text;
const pad = (value: number, width: number) => String(value).padStart(width, '0');
const clock = fc
  .tuple(fc.nat({ max: 23 }), fc.nat({ max: 59 }), fc.nat({ max: 59 }), fc.nat({ max: 999_999 }))
  .map(([h, m, s, us]) => `${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}.${pad(us, 6)}`);
const lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;
/** Real days of the years that Postgres has too; the first centuries more often than they deserve. */
const day = fc
  .tuple(
    fc.oneof(fc.integer({ min: 1, max: 9998 }), fc.integer({ min: 1, max: 120 }), fc.integer({ min: 1900, max: 2100 })),
    fc.nat({ max: 11 }),
    fc.nat({ max: 30 }),
  )
  .map(([year, month, at]) => `${pad(year, 4)}-${pad(month + 1, 2)}-${pad((at % (lengths[month] ?? 28)) + 1, 2)}`);
const dayEdges = [
  '0001-01-01',
  '0018-12-31',
  '0099-12-31',
  '0100-01-01',
  '0999-12-31',
  '1000-01-01',
  '1582-10-10',
  '1582-10-15',
  '1600-02-29',
  '1969-12-31',
  '1970-01-01',
  '2024-02-29',
  '2038-01-19',
  '9999-12-31',
];

export const days = (): ValueFamily => ({
  name: 'date and year',
  columns: [
    { type: 'DATE', values: [...dayEdges, ...some(day)].map(quote), cell: same, shown: same },
    {
      type: 'YEAR',
      values: [
        '0',
        "'0000'",
        '1901',
        '2155',
        '2000',
        '1999',
        "'00'",
        '69',
        '70',
        ...some(fc.integer({ min: 1901, max: 2155 })).map(String),
      ],
      cell: Number,
      shown: (text) => String(Number(text)),
    },
  ],
});

const typed = (type: string, fraction: number) => (fraction === 0 ? type : `${type}(${fraction})`);
const fractions = [0, 1, 2, 3, 4, 5, 6];
/** Postgres' microseconds, cut to the digits that the column has: any digit behind them would be one that nobody wrote. */
const shownMoment = (fraction: number) => (c: string) => {
  const text = `to_char(${c}, 'YYYY-MM-DD HH24:MI:SS.US')`;
  return `CASE WHEN right(${text}, ${6 - fraction}) <> repeat('0', ${6 - fraction}) THEN ${text} ELSE left(${text}, ${fraction === 0 ? 19 : 20 + fraction}) END`;
};

function datetimeColumn(fraction: number): ValueColumn {
  const edges = dayEdges.flatMap((date) => [`${date} 00:00:00`, `${date} 23:59:59`]);
  const values = [...edges, ...some(fc.tuple(day, clock), half).map(([date, time]) => `${date} ${time}`)].map(quote);
  return { type: typed('DATETIME', fraction), values, cell: (text) => text.replace(' ', 'T'), show: shownMoment(fraction), shown: same };
}

function timestampColumn(fraction: number): ValueColumn {
  const instants = fc.tuple(fc.integer({ min: 1, max: 2 ** 31 - 2 }), fc.nat({ max: 999_999 }));
  const spelled = some(instants, half).map(([s, us]) => `${new Date(s * 1000).toISOString().slice(0, 19).replace('T', ' ')}.${pad(us, 6)}`);
  const edges = [
    '1970-01-01 00:00:01',
    '2038-01-19 03:14:07',
    '2024-02-29 23:59:59',
    '2000-01-01 00:00:00',
    '2025-03-30 01:30:00',
    '2025-10-26 01:30:00',
  ];
  const show = (c: string) => shownMoment(fraction)(`(${c} AT TIME ZONE 'UTC')`);
  const cell = (text: string) => `${text.replace(' ', 'T')}Z`;
  return { type: `${typed('TIMESTAMP', fraction)} NULL DEFAULT NULL`, values: [...edges, ...spelled].map(quote), cell, show, shown: same };
}

/** `-12:34:56.5` in microseconds. */
function microseconds(text: string): string {
  const [, minus, hours, minutes, seconds, fraction = ''] = /^(-?)(\d+):(\d\d):(\d\d)(?:\.(\d+))?$/.exec(text) ?? [];
  const whole = (BigInt(hours ?? 0) * 60n + BigInt(minutes ?? 0)) * 60n + BigInt(seconds ?? 0);
  const all = whole * 1_000_000n + BigInt(fraction.padEnd(6, '0'));
  return String(minus === '-' ? -all : all);
}

function timeColumn(fraction: number): ValueColumn {
  const edges = [
    '00:00:00',
    '-00:00:01',
    '-00:01:00',
    '-01:00:00',
    '838:59:59',
    '-838:59:59',
    '00:00:00.9',
    '-12:34:56.5',
    '100:00:00',
    '24:00:00',
    '23:59:59.999999',
    '-00:00:00.000001',
    '-00:00:00.4',
    '-838:59:58.999999',
  ];
  const parts = fc.tuple(
    fc.constantFrom('', '-'),
    fc.oneof(fc.nat({ max: 838 }), fc.nat({ max: 30 })),
    fc.nat({ max: 59 }),
    fc.nat({ max: 58 }),
    fc.nat({ max: 999_999 }),
  );
  const spelled = some(parts, half).map(([sign, h, m, s, us]) => `${sign}${pad(h, 2)}:${pad(m, 2)}:${pad(s, 2)}.${pad(us, 6)}`);
  const show = (c: string) => `trunc(extract(epoch FROM ${c}) * 1000000)::bigint::text`;
  return { type: typed('TIME', fraction), values: [...edges, ...spelled].map(quote), cell: same, show, shown: microseconds };
}

export const times = (): ValueFamily => ({ name: 'time', columns: fractions.map(timeColumn) });
export const datetimes = (): ValueFamily => ({ name: 'datetime', columns: fractions.map(datetimeColumn) });
export const timestamps = (): ValueFamily => ({ name: 'timestamp', columns: fractions.map(timestampColumn) });
