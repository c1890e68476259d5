/** TRANSACTION_PAYLOAD: a transaction as one event, its own events inside, mostly compressed. */
import { constants, createZstdDecompress, zstdDecompressSync } from 'node:zlib';
import { corruptEvent } from '../errors.ts';
import { headerBytes } from './events.ts';

export interface Payload {
  readonly compressed: boolean;
  /** What the events inside take together. */
  readonly bytes: number;
  readonly data: Buffer;
}

/** Up to here a payload is read in one go; beyond, in pieces and as fast as there is room for what comes out. */
const atOnceBytes = 1024 * 1024;
const pieceBytes = 256 * 1024;

const field = { end: 0, payloadBytes: 1, compression: 2, uncompressedBytes: 3 } as const;
const zstd = 0;
const none = 255;

/** Type, length, value: all three in the protocol's packed integers; the payload is behind the end mark. */
export function parsePayload(b: Buffer, from: number, end: number): Payload {
  let at = from;
  const next = (): number => {
    const first = at < end ? (b[at] as number) : 255;
    const size = first < 251 ? 0 : first === 252 ? 2 : first === 253 ? 3 : first === 254 ? 8 : -1;
    if (size < 0 || at + 1 + size > end) throw cut();
    at += 1 + size;
    if (size === 0) return first;
    const value = size === 8 ? Number(b.readBigUInt64LE(at - 8)) : b.readUIntLE(at - size, size);
    if (!Number.isSafeInteger(value)) throw cut();
    return value;
  };
  let payloadBytes = -1;
  let compression = none;
  let uncompressedBytes = -1;
  for (let type = next(); type !== field.end; type = next()) {
    const length = next();
    const valueEnd = at + length;
    if (valueEnd > end) throw cut();
    if (type === field.payloadBytes) payloadBytes = next();
    else if (type === field.compression) compression = next();
    else if (type === field.uncompressedBytes) uncompressedBytes = next();
    at = valueEnd;
  }
  if (payloadBytes !== end - at) throw corruptEvent('a compressed transaction has another length than it says');
  if (compression !== zstd && compression !== none) throw corruptEvent('a transaction is compressed in a way that is not known');
  const data = b.subarray(at, end);
  if (compression === none) return { compressed: false, bytes: data.length, data };
  if (uncompressedBytes < 0) throw corruptEvent('a compressed transaction does not say how long it is');
  return { compressed: true, bytes: uncompressedBytes, data };
}

const cut = () => corruptEvent('a compressed transaction is cut');

export interface PayloadReader {
  /** One event from its header to its end, without a checksum. */
  event(b: Buffer): void | Promise<void>;
  /** Undefined: go on; else when there is room again. */
  room(): Promise<void> | undefined;
}

/** Hands over the events inside, in order. Answers a promise where that cannot be done at once. */
export function readPayload(payload: Payload, to: PayloadReader): void | Promise<void> {
  if (payload.bytes > atOnceBytes) return readInPieces(payload, to);
  const cutter = new EventCutter(payload.bytes);
  cutter.add(payload.compressed ? decompressed(payload) : payload.data);
  const rest = handOver(cutter, to);
  return rest ? rest.then(() => cutter.done()) : cutter.done();
}

function decompressed({ data, bytes }: Payload): Buffer {
  try {
    return zstdDecompressSync(data, { maxOutputLength: Math.max(bytes, 1) });
  } catch {
    throw unreadable();
  }
}

const unreadable = () => corruptEvent('a compressed transaction cannot be decompressed');

async function readInPieces(payload: Payload, to: PayloadReader): Promise<void> {
  const cutter = new EventCutter(payload.bytes);
  const pieces = payload.compressed ? decompressedPieces(payload.data) : plainPieces(payload.data);
  for await (const piece of pieces) {
    cutter.add(piece);
    await handOver(cutter, to);
    await to.room();
  }
  cutter.done();
}

async function* decompressedPieces(data: Buffer): AsyncGenerator<Buffer, void, undefined> {
  // The window may be as large as the server's, which goes beyond what a decoder allows by itself.
  const stream = createZstdDecompress({ chunkSize: pieceBytes, params: { [constants.ZSTD_d_windowLogMax]: 31 } });
  stream.end(data);
  const pieces = stream[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  try {
    for (;;) {
      const piece = await pieces.next().catch(() => {
        throw unreadable();
      });
      if (piece.done) return;
      yield piece.value;
    }
  } finally {
    stream.destroy();
  }
}

async function* plainPieces(data: Buffer): AsyncGenerator<Buffer, void, undefined> {
  for (let at = 0; at < data.length; at += pieceBytes) yield data.subarray(at, at + pieceBytes);
}

/** All whole events that are there. */
function handOver(cutter: EventCutter, to: PayloadReader): void | Promise<void> {
  for (let event = cutter.next(); event; event = cutter.next()) {
    const slow = to.event(event);
    if (slow) return slow.then(() => handOver(cutter, to));
  }
}

/** Cuts events out of bytes that come in pieces of any size. */
class EventCutter {
  #pieces: Buffer[] = [];
  #have = 0;
  /** Where the next event begins in the first piece. */
  #at = 0;
  #expected: number;

  /** `bytes`: of all events together. */
  constructor(bytes: number) {
    this.#expected = bytes;
  }

  add(piece: Buffer): void {
    if (piece.length > this.#expected) throw corruptEvent('a compressed transaction is longer than it says');
    this.#expected -= piece.length;
    this.#pieces.push(piece);
    this.#have += piece.length;
  }

  next(): Buffer | undefined {
    if (this.#have < headerBytes) return undefined;
    const size = this.#front(headerBytes).readUInt32LE(9);
    if (size < headerBytes || size > this.#have + this.#expected) throw corruptEvent('an event inside a compressed transaction is cut');
    if (this.#have < size) return undefined;
    const event = this.#front(size);
    this.#at += size;
    this.#have -= size;
    return event;
  }

  /** Nothing may be left. */
  done(): void {
    if (this.#have > 0 || this.#expected > 0) throw corruptEvent('a compressed transaction ends too early');
  }

  /** So many bytes in one piece. A long event is put together once, when all of it is there. */
  #front(size: number): Buffer {
    while (this.#at >= (this.#pieces[0]?.length ?? Infinity)) {
      this.#at -= this.#pieces.shift()?.length ?? 0;
    }
    const first = this.#pieces[0] as Buffer;
    if (this.#at + size <= first.length) return first.subarray(this.#at, this.#at + size);
    if (size === headerBytes) return this.#gathered(size);
    const rest = [first.subarray(this.#at), ...this.#pieces.slice(1)];
    this.#pieces = [Buffer.concat(rest, this.#have)];
    this.#at = 0;
    return (this.#pieces[0] as Buffer).subarray(0, size);
  }

  #gathered(size: number): Buffer {
    const parts: Buffer[] = [];
    let at = this.#at;
    let missing = size;
    for (const piece of this.#pieces) {
      const part = piece.subarray(at, at + missing);
      parts.push(part);
      missing -= part.length;
      at = 0;
      if (missing === 0) break;
    }
    return Buffer.concat(parts, size);
  }
}
