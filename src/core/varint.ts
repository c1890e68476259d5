/** Kafka's zig-zag varints. Values beyond 32 bits occur only in timestamp deltas, hence the arithmetic path. */
export interface Cursor {
  at: number;
}

export function varintSize(value: number): number {
  // Nearly all are lengths: small, and not negative.
  if (value >= 0 && value < 64) return 1;
  if (value >= 0 && value < 8192) return 2;
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  let size = 1;
  while (rest >= 128) {
    rest = Math.floor(rest / 128);
    size += 1;
  }
  return size;
}

/** Writes at `at` and answers the place behind it. */
export function writeVarint(buffer: Uint8Array, at: number, value: number): number {
  if (value >= 0 && value < 8192) {
    if (value < 64) {
      buffer[at] = value << 1;
      return at + 1;
    }
    buffer[at] = ((value << 1) & 127) | 128;
    buffer[at + 1] = value >> 6;
    return at + 2;
  }
  let rest = value >= 0 ? value * 2 : -value * 2 - 1;
  while (rest >= 128) {
    buffer[at++] = (rest % 128) | 128;
    rest = Math.floor(rest / 128);
  }
  buffer[at++] = rest;
  return at;
}

/** Throws RangeError at the end of the buffer or beyond 2^53. */
export function readVarint(buffer: Uint8Array, cursor: Cursor): number {
  let value = 0;
  let scale = 1;
  for (;;) {
    const byte = buffer[cursor.at++];
    if (byte === undefined || scale > 2 ** 49) throw new RangeError('a variable-length number is cut');
    value += (byte & 127) * scale;
    if (byte < 128) break;
    scale *= 128;
  }
  if (value > Number.MAX_SAFE_INTEGER) throw new RangeError('a variable-length number is beyond 2^53');
  return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
}
