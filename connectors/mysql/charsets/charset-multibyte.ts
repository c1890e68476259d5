/**
 * The East Asian character sets as MySQL and MariaDB map them (both alike). The engine's decoders know most characters, but
 * not one of them agrees with the servers everywhere, and they change with the engine's build. So each set is a table, made
 * once from the engine's decoder and its differences (charset-differences.ts), and counts only if its digest is the one of the table that was
 * compared with the servers, all sequences of bytes (test/integration/mysql-charsets.test.ts does it again).
 */
import { createHash } from 'node:crypto';
import { differences } from './charset-differences.ts';

/** Code units by the bytes of a character; 0 is no character. All of them are in the Basic Multilingual Plane. */
export interface MultibyteTable {
  readonly one: Uint16Array;
  readonly two: Uint16Array;
  /** By the two bytes behind 0x8F. */
  readonly three?: Uint16Array;
  /** GB 18030's sequences of four bytes for the plane, by their number in order. */
  readonly four?: Uint16Array;
}

/** Pairs of bytes of one table, in order, and what the engine or a rule says that they stand for; 0 is nothing. */
interface Area {
  readonly leads: readonly [number, number];
  readonly trails: readonly (readonly [number, number])[];
  readonly base: (lead: number, trail: number) => number;
  /** See charset-differences.ts. */
  readonly differences: string;
}

function tableOf({ leads, trails, base, differences }: Area): Uint16Array {
  const table = new Uint16Array(65_536);
  const order: number[] = [];
  for (let lead = leads[0]; lead <= leads[1]; lead += 1) {
    for (const [from, to] of trails) {
      for (let trail = from; trail <= to; trail += 1) {
        order.push((lead << 8) | trail);
        table[(lead << 8) | trail] = base(lead, trail);
      }
    }
  }
  for (const difference of differences.split(/\s+/).filter((text) => text !== '')) {
    const [, code = '', count = '1', first] = /^(\w{4})(?:\+(\d+))?(?::(\w{4}))?$/.exec(difference) ?? [];
    const at = order.indexOf(Number.parseInt(code, 16));
    order.slice(at, at + Number(count)).forEach((place, index) => {
      table[place] = first === undefined ? 0 : Number.parseInt(first, 16) + index;
    });
  }
  return table;
}

/** The one code unit that the engine reads from these bytes, or 0. */
function engine(label: string): (...bytes: readonly number[]) => number {
  const decoder = new TextDecoder(label, { ignoreBOM: true });
  return (...bytes) => {
    const text = decoder.decode(Uint8Array.from(bytes));
    return text.length === 1 && text !== '\ufffd' ? text.charCodeAt(0) : 0;
  };
}

const sjisTrails = [
  [0x40, 0x7e],
  [0x80, 0xfc],
] as const;
const gbkTrails = [
  [0x40, 0x7e],
  [0x80, 0xfe],
] as const;
const eucTrails = [[0xa1, 0xfe]] as const;
const uhcTrails = [
  [0x41, 0x5a],
  [0x61, 0x7a],
  [0x81, 0xfe],
] as const;

/** JIS X 0208 in EUC is Shift JIS counted otherwise; what is behind it is for the user's own characters, on end. */
function eucJapanese(): (lead: number, trail: number) => number {
  const shifted = engine('shift_jis');
  return (lead, trail) => {
    if (lead >= 0xf5) return 0xe000 + (lead - 0xf5) * 94 + trail - 0xa1;
    const row = lead - 0xa1;
    const cell = trail - 0xa1;
    const half = row >> 1;
    return shifted(half + (half > 0x1e ? 0xc1 : 0x81), (row & 1) === 1 ? cell + 0x9f : cell + (cell > 0x3e ? 0x41 : 0x40));
  };
}

function eucSupplement(): (lead: number, trail: number) => number {
  const euc = engine('euc-jp');
  return (lead, trail) => (lead >= 0xf5 ? 0xe3ac + (lead - 0xf5) * 94 + trail - 0xa1 : euc(0x8f, lead, trail));
}

/** Windows' extension of EUC-KR: the Hangul syllables that KS X 1001 leaves out, in Unicode's order. */
function unifiedHangul(): (lead: number, trail: number) => number {
  const euc = engine('euc-kr');
  const known = new Set<number>();
  for (let lead = 0xa1; lead <= 0xfe; lead += 1) for (let trail = 0xa1; trail <= 0xfe; trail += 1) known.add(euc(lead, trail));
  const rest = Array.from({ length: 0xd7a4 - 0xac00 }, (_, index) => 0xac00 + index).filter((unit) => !known.has(unit));
  let next = 0;
  return (lead, trail) => (lead <= 0xc6 && (lead <= 0xa0 || trail <= 0xa0) ? (rest[next++] ?? 0) : euc(lead, trail));
}

const ascii = Uint16Array.from({ length: 256 }, (_, byte) => (byte < 0x80 ? byte : 0));
const withKana = Uint16Array.from({ length: 256 }, (_, byte) => (byte >= 0xa1 && byte <= 0xdf ? byte - 0xa1 + 0xff61 : (ascii[byte] ?? 0)));

function eucTable(differences: string, supplement: string): MultibyteTable {
  const two = tableOf({ leads: [0xa1, 0xfe], trails: eucTrails, base: eucJapanese(), differences });
  for (let trail = 0xa1; trail <= 0xdf; trail += 1) two[0x8e00 | trail] = trail - 0xa1 + 0xff61;
  const three = tableOf({ leads: [0xa1, 0xfe], trails: eucTrails, base: eucSupplement(), differences: supplement });
  return { one: ascii, two, three };
}

/** U+1E3F had four bytes until it came among the pairs in the place of this one, which got its four. */
const exchanged = [0x1e3f, 0xe7c7] as const;

/** Four bytes are, in order, for everything in the plane that one or two do not reach. */
function gb18030Table(): MultibyteTable {
  const two = tableOf({ leads: [0x81, 0xfe], trails: gbkTrails, base: engine('gbk'), differences: differences.gb18030 });
  const reached = new Set(two);
  const rest: number[] = [];
  for (let unit = 0x80; unit <= 0xffff; unit += 1) {
    if (unit === exchanged[0]) rest.push(exchanged[1]);
    else if (unit !== exchanged[1] && !reached.has(unit) && (unit < 0xd800 || unit > 0xdfff)) rest.push(unit);
  }
  return { one: ascii, two, four: Uint16Array.from(rest) };
}

const pairs = (leads: readonly [number, number], trails: Area['trails'], base: Area['base'], differences: string, one = ascii) => ({
  one,
  two: tableOf({ leads, trails, base, differences }),
});

const makers: Readonly<Record<string, readonly [digest: string, make: () => MultibyteTable]>> = {
  big5: ['a9185e756866a31b', () => pairs([0xa1, 0xf9], [[0x40, 0x7e], ...eucTrails], engine('big5'), differences.big5)],
  cp932: ['7ccf15aca93ad49a', () => pairs([0x81, 0xfc], sjisTrails, engine('shift_jis'), '', withKana)],
  sjis: ['3411d7552847295e', () => pairs([0x81, 0xfc], sjisTrails, engine('shift_jis'), differences.sjis, withKana)],
  ujis: ['4f333ef1cbe73bd0', () => eucTable(differences.ujis, differences.ujisSupplement)],
  eucjpms: ['0fb7ab5bddb0d309', () => eucTable('', differences.eucjpmsSupplement)],
  euckr: ['8fe6389b20eb471d', () => pairs([0x81, 0xfe], uhcTrails, unifiedHangul(), differences.euckr)],
  gb2312: ['1d2e66d6ecd2a8b9', () => pairs([0xa1, 0xf7], eucTrails, engine('gbk'), differences.gb2312)],
  gbk: ['41d4b482cdae795c', () => pairs([0x81, 0xfe], gbkTrails, engine('gbk'), differences.gbk)],
  gb18030: ['f79acd9502653560', gb18030Table],
};

function digestOf(table: MultibyteTable): string {
  const hash = createHash('sha256');
  for (const part of [table.one, table.two, table.three, table.four]) hash.update(part ? Buffer.from(part.buffer) : '-');
  return hash.digest('hex').slice(0, 16);
}

/** undefined where the name is not one of these, or this engine's decoder is not the one that was compared. */
export function multibyteTable(name: string): MultibyteTable | undefined {
  const maker = Object.hasOwn(makers, name) ? makers[name] : undefined;
  if (!maker) return undefined;
  const [digest, make] = maker;
  const table = make();
  return digestOf(table) === digest ? table : undefined;
}

/** Throws a TypeError where the bytes are no character. */
export function decodeMultibyte({ one, two, three, four }: MultibyteTable, bytes: Uint8Array): string {
  const units = new Uint16Array(bytes.length);
  let at = 0;
  let count = 0;
  while (at < bytes.length) {
    const lead = bytes[at] as number;
    let unit = one[lead] as number;
    let size = 1;
    if (unit === 0 && lead !== 0) {
      const second = bytes[at + 1] ?? 0;
      size = 2;
      if (lead === 0x8f && three) {
        unit = three[(second << 8) | (bytes[at + 2] ?? 0)] as number;
        size = 3;
      } else if (four && second >= 0x30 && second <= 0x39) {
        const point = fourBytes(four, bytes, at);
        unit = point;
        size = 4;
        if (point > 0xffff) {
          units[count++] = 0xd800 + ((point - 0x10000) >> 10);
          unit = 0xdc00 + (point & 0x3ff);
        }
      } else unit = two[(lead << 8) | second] as number;
      if (unit === 0) throw new TypeError('the bytes are not valid in their character set');
    }
    units[count++] = unit;
    at += size;
  }
  return Buffer.from(units.buffer, 0, count * 2).toString('utf16le');
}

/** The code point of GB 18030's four bytes, 0 where there is none: the plane by its table, the other planes on end from 0x90308130. */
function fourBytes(four: Uint16Array, bytes: Uint8Array, at: number): number {
  const [lead = 0, second = 0, third = 0, fourth = 0] = bytes.subarray(at, at + 4);
  if (third < 0x81 || third > 0xfe || fourth < 0x30 || fourth > 0x39 || lead < 0x81 || lead > 0xfe) return 0;
  const number = (((lead - 0x81) * 10 + second - 0x30) * 126 + third - 0x81) * 10 + fourth - 0x30;
  if (number < 189_000) return four[number] ?? 0;
  const point = number - 189_000 + 0x10000;
  return point <= 0x10ffff ? point : 0;
}
