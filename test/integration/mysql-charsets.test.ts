/** Our character sets against the servers: every sequence of bytes that could be a character, and texts through the binlog. */
import type { Connection, RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { charset, textDecoder } from '../../connectors/mysql/charsets/charsets.ts';
import { characterSets } from '../support/mysql-all-types.ts';
import { ValueServer } from '../support/mysql-values.ts';

const hex = (byte: number) => byte.toString(16).padStart(2, '0');
const multibyte = new Set(['big5', 'cp932', 'eucjpms', 'euckr', 'gb18030', 'gb2312', 'gbk', 'sjis', 'ujis']);
const unicode = new Set(['ucs2', 'utf16', 'utf16le', 'utf32', 'utf8mb3', 'utf8mb4']);

/** What the server reads from each of these, where that is one character; `?` and U+FFFD of other bytes are its words for none. */
async function serverCharacters(sql: Connection, set: string, from: string): Promise<ReadonlyMap<string, string>> {
  const [rows] = await sql.query<RowDataPacket[]>(
    `SELECT HEX(s) AS h, HEX(CONVERT(s USING ${set})) AS k, CHAR_LENGTH(CONVERT(s USING ${set})) AS n, HEX(CONVERT(CONVERT(s USING ${set}) USING utf8mb4)) AS u FROM ${from}`,
  );
  const found = new Map<string, string>();
  for (const { h, k, n, u } of rows as unknown as { h: string; k: string | null; n: unknown; u: string | null }[]) {
    if (u === null || k !== h || Number(n) !== 1) continue;
    const text = Buffer.from(u, 'hex').toString('utf8');
    const isNone = (text === '?' && h !== '3F') || (text === '\ufffd' && h !== '8431A437') || (text === '\0' && h !== '00') || text === '';
    if (!isNone) found.set(h.toLowerCase(), text);
  }
  return found;
}

/** Sequences that the two read differently. */
function differences(set: string, server: ReadonlyMap<string, string>, sequences: Iterable<string>): string[] {
  const own = charset(set);
  if (!own) return [`${set} is not carried`];
  const decode = textDecoder(own);
  const wrong: string[] = [];
  for (const sequence of sequences) {
    let text: string | undefined;
    try {
      text = decode(Buffer.from(sequence, 'hex'));
    } catch {
      text = undefined;
    }
    if (text !== undefined && !/^.$/su.test(text)) text = undefined;
    if (text !== server.get(sequence)) wrong.push(`${set} ${sequence}: ${String(text)} is not ${String(server.get(sequence))}`);
  }
  return wrong.slice(0, 10);
}

const all = Array.from({ length: 256 }, (_, byte) => hex(byte));
const high = all.slice(0x80);

/** With a table of all bytes. */
async function withBytes(name: 'mysql' | 'mariadb'): Promise<ValueServer> {
  const server = await ValueServer.open(name);
  await server.sql.query('CREATE TABLE n (b BINARY(1) PRIMARY KEY)');
  await server.sql.query(`INSERT INTO n VALUES ${all.map((byte) => `(X'${byte}')`).join(', ')}`);
  return server;
}

describe.each(['mysql', 'mariadb'] as const)('%s', (name) => {
  const sets = characterSets.filter((set) => name === 'mysql' || set !== 'gb18030');
  let server: ValueServer;
  beforeAll(async () => {
    server = await withBytes(name);
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('G6: every character set of the server is carried', async () => {
    const [rows] = await server.sql.query<RowDataPacket[]>('SELECT CHARACTER_SET_NAME AS name FROM information_schema.CHARACTER_SETS');
    const names = rows.map((row) => String(row['name'])).filter((set) => set !== 'binary');
    expect(names.toSorted()).toEqual(sets.toSorted());
    expect(names.filter((set) => charset(set) === undefined)).toEqual([]);
  });

  test.each(sets.filter((set) => !multibyte.has(set) && !unicode.has(set)))('G6: every byte of %s', async (set) => {
    const known = await serverCharacters(server.sql, set, '(SELECT b AS s FROM n) AS t');
    expect(differences(set, known, all)).toEqual([]);
    expect(known.size).toBeGreaterThan(set === 'swe7' ? 126 : 127);
  });

  test.each(sets.filter((set) => multibyte.has(set)))('G6: every sequence of one, two and three bytes of %s', async (set) => {
    const ones = await serverCharacters(server.sql, set, '(SELECT b AS s FROM n) AS t');
    const twos = await serverCharacters(server.sql, set, "(SELECT CONCAT(a.b, c.b) AS s FROM n AS a, n AS c WHERE a.b >= X'80') AS t");
    expect(differences(set, ones, all)).toEqual([]);
    const pairs = high.flatMap((lead) => all.map((trail) => lead + trail));
    expect(differences(set, twos, pairs)).toEqual([]);
    expect(twos.size).toBeGreaterThan(6000);
    if (set !== 'ujis' && set !== 'eucjpms') return;
    const threes = await serverCharacters(server.sql, set, "(SELECT CONCAT(X'8F', a.b, c.b) AS s FROM n AS a, n AS c) AS t");
    const triples = all.flatMap((second) => all.map((third) => `8f${second}${third}`));
    expect(differences(set, threes, triples)).toEqual([]);
    expect(threes.size).toBeGreaterThan(6000);
  });

  // The tables are the same for both servers; here it is only about the way.
  test.each(name === 'mysql' ? sets : ['latin1', 'swe7', 'sjis', 'eucjpms', 'gbk', 'utf16le', 'utf8mb3'])(
    'G6: texts of all characters of %s through the binlog',
    async (set) => {
      const own = charset(set);
      if (!own) throw new Error(`${set} is not carried`);
      const decode = textDecoder(own);
      const good = candidates(set).filter((sequence) => {
        try {
          return decode(Buffer.from(sequence, 'hex')) !== '';
        } catch {
          return false;
        }
      });
      const values: string[] = [];
      for (let at = 0; at < good.length; at += 400) values.push(`_${set} X'${good.slice(at, at + 400).join('')}'`);
      const family = {
        values,
        select: 'HEX(CONVERT(v USING utf8mb4))',
        expected: (text: string) => Buffer.from(text, 'hex').toString('utf8'),
      };
      expect(await server.differences({ type: `TEXT CHARACTER SET ${set}`, ...family })).toEqual([]);
      expect(values.length).toBeGreaterThan(0);
    },
  );
});

describe('mysql alone', () => {
  let server: ValueServer;
  beforeAll(async () => {
    server = await withBytes('mysql');
  });
  afterAll(() => server[Symbol.asyncDispose]());

  test('G6: every sequence of four bytes of gb18030', { timeout: 600_000 }, async () => {
    let count = 0;
    for (const lead of high.slice(1)) {
      const known = await serverCharacters(
        server.sql,
        'gb18030',
        `(SELECT CONCAT(X'${lead}', a.b, c.b, d.b) AS s FROM n AS a, n AS c, n AS d
           WHERE a.b BETWEEN '0' AND '9' AND c.b >= X'80' AND d.b BETWEEN '0' AND '9') AS t`,
      );
      const digits = all.slice(0x30, 0x3a);
      const fours = digits.flatMap((second) => high.flatMap((third) => digits.map((fourth) => lead + second + third + fourth)));
      expect(differences('gb18030', known, fours)).toEqual([]);
      count += known.size;
    }
    expect(count).toBe(39_420 + 0x100000);
  });
});

/** Of the wide ones a sample across all their ranges. */
function candidates(set: string): string[] {
  if (unicode.has(set)) {
    const points = [1, 0x22, 0x5c, 0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff];
    if (set !== 'ucs2' && set !== 'utf8mb3') points.push(0x10000, 0x1f600, 0x10ffff);
    for (let point = 0x20; point < 0xd800; point += 17) points.push(point);
    return points.map((point) => encode(set, point));
  }
  const pairs = multibyte.has(set) ? high.flatMap((lead) => all.map((trail) => lead + trail)) : [];
  const triples = set === 'ujis' || set === 'eucjpms' ? high.flatMap((second) => high.map((third) => `8f${second}${third}`)) : [];
  const fours =
    set === 'gb18030'
      ? ['8130', '8431', '9030', 'e332'].flatMap((start) => high.flatMap((third) => [`${start}${third}30`, `${start}${third}39`]))
      : [];
  const ones = multibyte.has(set) && set !== 'sjis' && set !== 'cp932' ? all.slice(0, 0x80) : all;
  return [...ones, ...pairs, ...triples, ...fours].filter((sequence) => sequence.length === 2 || !isTwoOnes(set, sequence));
}

/** In Shift JIS two bytes may be two characters; they are in the list one by one. */
const isTwoOnes = (set: string, sequence: string): boolean =>
  (set === 'sjis' || set === 'cp932') && ((sequence >= 'a1' && sequence < 'e0') || sequence < '81');

function encode(set: string, point: number): string {
  const text = String.fromCodePoint(point);
  if (set.startsWith('utf8')) return Buffer.from(text).toString('hex');
  if (set === 'utf32') return point.toString(16).padStart(8, '0');
  const little = Buffer.from(text, 'utf16le');
  return (set === 'utf16le' ? little : little.swap16()).toString('hex');
}
