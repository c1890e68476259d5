/**
 * What is larger than 16 MB comes in several packets, which mysql2 keeps and puts together at the end: twice the event's
 * bytes, and all of it left to a collection of garbage that a quiet stream may not see for minutes. Here each part is copied
 * to its place when it comes, and its memory is given back at once.
 */

/** mysql2's own, private: test/integration/mysql-stream.test.ts fails when it changes. */
export interface PacketParser {
  largePacketParts: { readonly length: number; push(part: Buffer): number };
  readonly firstPacketSequenceId: number;
  readonly onPacket: (packet: unknown) => void;
  readonly _reusablePacket: { readonly constructor: unknown };
  _flushLargePacket: () => void;
}
type PacketClass = new (id: number, buffer: Buffer, start: number, end: number) => { numPackets: number };

/** A packet that is this long is continued in the next one. */
const fullPacketBytes = 0xffffff;
/** mysql2's place for a packet's header. */
const packetHeaderBytes = 4;
/** In front of the event: the answer's status byte. Then come time, type and server id. */
const eventSizeAt = packetHeaderBytes + 1 + 9;

/** The parts of one large packet so far; stands in for mysql2's array of them. */
class LargePacket {
  length = 0;
  #whole: Buffer | undefined;
  #end = packetHeaderBytes;

  push(part: Buffer): number {
    const whole = this.#room(part);
    part.copy(whole, this.#end);
    this.#end += part.length;
    // Whole parts were put together by mysql2 in a buffer of their own; the last may be a view of a chunk of the socket.
    if (part.length === fullPacketBytes) free(part);
    return (this.length += 1);
  }

  take(): { readonly bytes: Buffer; readonly parts: number } {
    const taken = { bytes: (this.#whole ?? Buffer.alloc(0)).subarray(0, this.#end), parts: this.length };
    this.length = 0;
    this.#whole = undefined;
    this.#end = packetHeaderBytes;
    return taken;
  }

  /** The event says how long it will be; pages that are never written to cost nothing, should that be wrong. */
  #room(part: Buffer): Buffer {
    if (this.#whole === undefined) {
      const said = part.readUInt32LE(eventSizeAt - packetHeaderBytes) + packetHeaderBytes + 1;
      this.#whole = Buffer.allocUnsafeSlow(Math.max(said, packetHeaderBytes + part.length));
    } else if (this.#end + part.length > this.#whole.length) {
      const grown = Buffer.allocUnsafeSlow(this.#whole.length * 2 + part.length);
      this.#whole.copy(grown, 0, 0, this.#end);
      free(this.#whole);
      this.#whole = grown;
    }
    return this.#whole;
  }
}

/** From now on large packets of this connection cost their own bytes once; whoever reads one gives it back with `free`. */
export function assembleLargePackets(parser: PacketParser): void {
  const parts = new LargePacket();
  const Packet = parser._reusablePacket.constructor as PacketClass;
  parser.largePacketParts = parts;
  parser._flushLargePacket = () => {
    const { bytes, parts: numPackets } = parts.take();
    const packet = new Packet(parser.firstPacketSequenceId, bytes, 0, bytes.length);
    packet.numPackets = numPackets;
    parser.onPacket(packet);
  };
}

/** Smaller ones may be views of a chunk of the socket, which other packets are in too. */
const ownMemoryBytes = 1024 * 1024;

/** Gives the memory of a large packet back now, once nobody looks at it again; leaves a small one alone. */
export function free(bytes: Buffer): void {
  if (bytes.length < ownMemoryBytes) return;
  const { buffer } = bytes;
  if (buffer instanceof ArrayBuffer) buffer.transfer(0);
}
