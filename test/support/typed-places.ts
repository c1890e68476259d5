/** Places, vectors, and MariaDB's addresses. */
import * as fc from 'fast-check';
import { perColumn, quote, some, type Flavor, type ValueColumn, type ValueFamily } from './typed-values.ts';
import { shortestFloat } from './typed-numbers.ts';

const same = (text: string) => text;
/** The first number is a latitude where the reference system is 4326. */
const number = fc
  .oneof(fc.double({ min: -89, max: 89, noNaN: true }), fc.constantFrom(0, 1, -1, 0.1, 1e-300, 89.999999999))
  .map((value) => (Object.is(value, -0) ? '0' : String(value)));
const point = fc.tuple(number, number).map((pair) => pair.join(' '));
const points = (min: number) => fc.array(point, { minLength: min, maxLength: min + 4 }).map((list) => list.join(','));
/** Closed, and with an area. */
const ring = fc
  .tuple(fc.integer({ min: -80, max: 60 }), fc.integer({ min: -80, max: 60 }), fc.integer({ min: 1, max: 20 }))
  .map(([x, y, size]) => `(${x} ${y},${x + size} ${y},${x + size} ${y + size},${x} ${y + size}.5,${x} ${y})`);
const list = (item: fc.Arbitrary<string>) => fc.array(item, { minLength: 1, maxLength: 3 }).map((items) => items.join(','));

const kinds: Readonly<Record<string, fc.Arbitrary<string>>> = {
  POINT: point.map((one) => `POINT(${one})`),
  LINESTRING: points(2).map((several) => `LINESTRING(${several})`),
  POLYGON: ring.map((one) => `POLYGON(${one})`),
  MULTIPOINT: points(1).map((several) => `MULTIPOINT(${several})`),
  MULTILINESTRING: list(points(2).map((several) => `(${several})`)).map((lines) => `MULTILINESTRING(${lines})`),
  MULTIPOLYGON: list(ring.map((one) => `(${one})`)).map((polygons) => `MULTIPOLYGON(${polygons})`),
};
const members = list(fc.oneof(...Object.values(kinds)));
const collection = fc.oneof(
  members.map((items) => `GEOMETRYCOLLECTION(${items})`),
  members.map((items) => `GEOMETRYCOLLECTION(POINT(1 2),GEOMETRYCOLLECTION(${items}))`),
);
const any = fc.oneof(...Object.values(kinds), collection);

/** The server's own bytes: four of the reference system's number, then WKB. */
const internal = (hex: string) => Buffer.from(hex, 'hex');
const cell = (hex: string) => {
  const srid = internal(hex).readUInt32LE(0);
  return { wkb: internal(hex).subarray(4).toString('base64'), srid: srid === 0 ? null : srid };
};

/** PostGIS' form, made here by hand: WKB with a flag in the type, and the number behind it. */
function ewkb(hex: string): string {
  const [srid, order, type, rest] = [hex.slice(0, 8), hex.slice(8, 10), hex.slice(10, 18), hex.slice(18)];
  return srid === '00000000' ? `${order}${type}${rest}` : `${order}${type.slice(0, 6)}20${srid}${rest}`;
}

function placeColumn(type: string, shapes: fc.Arbitrary<string>, srids: readonly number[], count: number): ValueColumn {
  const srid = fc.constantFrom(...srids);
  const values = some(fc.tuple(shapes, srid), count).map(([shape, of]) => `ST_GeomFromText('${shape}', ${of})`);
  return { type, values, select: (c) => `HEX(${c})`, cell, show: (c) => `upper(encode(${c}, 'hex'))`, shown: ewkb };
}

export function places(flavor: Flavor): ValueFamily {
  const srids = flavor === 'mysql' ? [0, 4326, 3857] : [0, 4326, 1, 2 ** 31 - 1];
  const own = Object.entries(kinds).map(([type, shapes]) => placeColumn(type, shapes, srids, Math.ceil(perColumn / 5)));
  const whole = placeColumn('GEOMETRY', any, srids, Math.ceil(perColumn / 2));
  const rest = [whole, placeColumn('GEOMETRYCOLLECTION', collection, srids, Math.ceil(perColumn / 5))];
  return { name: 'geometry', columns: [...own, ...rest] };
}

function vectorColumn(dimensions: number, count: number): ValueColumn {
  const float = fc.oneof(
    fc.float({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(0, -0, 1, 1.5, 16_777_216, 1e-45, 3.4028234663852886e38),
  );
  const literal = (floats: readonly number[]) => `X'${Buffer.from(Float32Array.from(floats).buffer).toString('hex')}'`;
  const numbers = (hex: string) => Array.from({ length: hex.length / 8 }, (_, at) => Buffer.from(hex, 'hex').readFloatLE(at * 4));
  return {
    type: `VECTOR(${dimensions})`,
    values: some(fc.array(float, { minLength: dimensions, maxLength: dimensions }), count).map(literal),
    select: (c) => `HEX(${c})`,
    cell: (hex) => numbers(hex).map(shortestFloat),
    readCell: (given) => (given as readonly unknown[]).map(Number),
    shown: (hex) => numbers(hex),
    readShown: (text) =>
      text
        .slice(1, -1)
        .split(',')
        .map((value) => Math.fround(Number(value))),
  };
}

export const vectors = (): ValueFamily => ({
  name: 'vector',
  columns: [
    vectorColumn(1, Math.ceil(perColumn / 2)),
    vectorColumn(3, Math.ceil(perColumn / 2)),
    vectorColumn(20, Math.ceil(perColumn / 6)),
  ],
});

const addressEdges = ['0.0.0.0', '255.255.255.255', '127.0.0.1', '10.0.0.1', '1.2.3.0'];
const sixEdges = [
  '::',
  '::1',
  'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff',
  '::ffff:192.0.2.128',
  '::192.0.2.128',
  '2001:db8::ff00:42:8329',
  '1:0:0:2::',
  '1:0:0:0:2:0:0:0',
  'fe80::',
];
/** One spelling of an IPv6 address, whoever shortened it. */
const plainSix = (text: string) => new URL(`http://[${text}]/`).hostname;
const uuidEdges = ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff', '123e4567-e89b-12d3-a456-426655440000'];
/** Any bits, also those that no version of a UUID allows. */
const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) =>
  Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
);

export const addresses = (): ValueFamily => ({
  name: 'uuid, inet4 and inet6',
  columns: [
    { type: 'UUID', values: [...uuidEdges, ...some(fc.oneof(uuid, fc.uuid()))].map(quote), cell: same, shown: same },
    { type: 'INET4', values: [...addressEdges, ...some(fc.ipV4())].map(quote), cell: same, show: (c) => `host(${c})`, shown: same },
    {
      type: 'INET6',
      values: [...sixEdges, ...some(fc.ipV6().filter((text) => URL.canParse(`http://[${text}]/`)))].map(quote),
      cell: same,
      show: (c) => `host(${c})`,
      shown: plainSix,
      readShown: plainSix,
    },
  ],
});
