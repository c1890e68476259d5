/** GEOMETRY and VECTOR as JSON, straight from the binlog's bytes. */
import { put, writeBase64 } from './values-other.ts';
import { writeInt, writeShortestFloat } from './values-number.ts';

const wkbName = Buffer.from('{"wkb":');
const sridName = Buffer.from(',"srid":');
const noSrid = Buffer.from('null}');

/** Bytes that the writer needs beside twice those of the value. */
export const geometryRoom = 40;

/**
 * `{"wkb":"…","srid":4326}`: the server stores four bytes of SRID and plain WKB behind them; -1 where there is no room for
 * both. SRID 0 is no reference system at all: null, as Debezium writes it.
 *
 * Axis order: stored coordinates are always x, y, which for geographic systems is longitude, latitude, as in PostGIS and in
 * Debezium's samples. MySQL's ST_AsBinary and ST_AsText turn them to what the reference system says (latitude first for
 * 4326) unless they are asked with 'axis-order=long-lat'; the bytes here are the stored ones.
 */
export function writeGeometry(w: Buffer, start: number, b: Buffer, p: number, end: number): number {
  const size = end - p;
  // The empty value that a server without strict mode puts into a NOT NULL column has neither; its bytes are none.
  if (size !== 0 && size < 9) return -1;
  let q = put(w, start, wkbName);
  q = size === 0 ? writeBase64(w, q, b, p, 0, 0) : writeBase64(w, q, b, p + 4, size - 4, size - 4);
  q = put(w, q, sridName);
  const srid = size === 0 ? 0 : b.readUInt32LE(p);
  if (srid === 0) return put(w, q, noSrid);
  q = writeInt(w, q, srid);
  w[q++] = 125;
  return q;
}

/** Bytes that an element can take, with its comma, for each of its four. */
export const vectorGrowth = 6;

/** `[1,2.5,-3]`: each element the shortest text that reads back as the same 32-bit number; -1 for what is no number. */
export function writeVector(w: Uint8Array, start: number, b: Buffer, p: number, end: number): number {
  if ((end - p) % 4 !== 0) return -1;
  let q = start;
  w[q++] = 91;
  for (let at = p; at < end; at += 4) {
    if (at > p) w[q++] = 44;
    const value = b.readFloatLE(at);
    if (!Number.isFinite(value)) return -1;
    q = writeShortestFloat(w, q, value);
  }
  w[q++] = 93;
  return q;
}
