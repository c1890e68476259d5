/**
 * Bind messages with large values. pg copies each value twice on its way to the socket; these are handed on as they are.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
type Value = string | Buffer | null;

const largeBytes = 1024 * 1024;
const isLarge = (value: Value) => value !== null && value.length > largeBytes;

/** The message in pieces, one behind the other; undefined where no value is large. `statement`: a prepared one's name. */
export function largeBind(statement: string, values: readonly Value[]): Buffer[] | undefined {
  if (!values.some(isLarge)) return undefined;
  const pieces: Buffer[] = [];
  let small: Buffer[] = [Buffer.from(`\0${statement}\0`), int16(values.length)];
  for (const value of values) small.push(int16(Buffer.isBuffer(value) ? 1 : 0));
  small.push(int16(values.length));
  for (const value of values) {
    if (value === null) {
      small.push(int32(-1));
      continue;
    }
    const bytes = Buffer.isBuffer(value) ? value : Buffer.from(value);
    small.push(int32(bytes.length));
    if (bytes.length > largeBytes) {
      pieces.push(Buffer.concat(small), bytes);
      small = [];
    } else small.push(bytes);
  }
  // All results as text.
  pieces.push(Buffer.concat([...small, int16(0)]));
  const length = pieces.reduce((sum, piece) => sum + piece.length, 4);
  return [Buffer.concat([Buffer.from('B'), int32(length)]), ...pieces];
}

function int16(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeInt32BE(value);
  return bytes;
}
