/** Three questions to one broker over its protocol, each in the oldest version that Kafka 4 answers; for what tests look at. */
import { connect, type Socket } from 'node:net';

export interface TopicPartition {
  readonly topic: string;
  readonly partition: number;
}

const keys = { metadata: 3, listOffsets: 2, fetch: 1 } as const;
const answerMs = 10_000;

export class Broker implements Disposable {
  readonly #socket: Socket;
  #received = Buffer.alloc(0);
  #awaits: { readonly resolve: (answer: Buffer) => void; readonly reject: (error: Error) => void } | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setTimeout(answerMs, () => socket.destroy(new Error('the broker does not answer')));
    const end = (error: Error) => this.#awaits?.reject(error);
    socket.on('error', end);
    socket.on('close', () => end(new Error('the broker closed the connection')));
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
  }

  static connect(address: string): Promise<Broker> {
    const [host = '', port = ''] = address.split(':');
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port: Number(port) }, () => resolve(new Broker(socket)));
      socket.once('error', reject);
    });
  }

  /** Of all topics. */
  async partitions(): Promise<TopicPartition[]> {
    const answer = new Reader(await this.#ask(keys.metadata, 1, [int32(-1)]));
    answer.array(() => {
      answer.int32();
      answer.string();
      answer.int32();
      answer.string();
    });
    answer.int32();
    return answer
      .array(() => {
        answer.int16();
        const topic = answer.string();
        answer.at += 1;
        return answer.array(() => {
          answer.int16();
          const partition = answer.int32();
          answer.int32();
          answer.array(() => answer.int32());
          answer.array(() => answer.int32());
          return { topic, partition };
        });
      })
      .flat();
  }

  async endOffsets(wanted: readonly TopicPartition[]): Promise<{ readonly at: TopicPartition; readonly end: number }[]> {
    const asked = wanted.map(({ topic, partition }) => [string(topic), int32(1), int32(partition), int64(-1)]);
    const answer = new Reader(await this.#ask(keys.listOffsets, 1, [int32(-1), int32(wanted.length), ...asked.flat()]));
    const found = answer.array(() => {
      const topic = answer.string();
      return answer.array(() => {
        const partition = answer.int32();
        failOn(answer.int16(), 'ListOffsets');
        answer.int64();
        return { at: { topic, partition }, end: answer.int64() };
      });
    });
    return found.flat();
  }

  /** The stored bytes from the batch that holds `offset` on. */
  async fetch({ topic, partition }: TopicPartition, offset: number): Promise<Buffer> {
    const head = [int32(-1), int32(500), int32(1), int32(64e6), Buffer.from([0]), int32(1)];
    const asked = [string(topic), int32(1), int32(partition), int64(offset), int32(4e6)];
    const answer = new Reader(await this.#ask(keys.fetch, 4, [...head, ...asked]));
    answer.int32();
    answer.int32();
    answer.string();
    answer.int32();
    answer.int32();
    failOn(answer.int16(), 'Fetch');
    answer.int64();
    answer.int64();
    answer.array(() => answer.int64() + answer.int64());
    return answer.bytes();
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #ask(key: number, version: number, parts: readonly Buffer[]): Promise<Buffer> {
    const body = Buffer.concat([int16(key), int16(version), int32(1), string('chaos'), ...parts]);
    return new Promise((resolve, reject) => {
      this.#awaits = { resolve, reject };
      this.#socket.write(Buffer.concat([int32(body.length), body]));
    });
  }

  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    if (this.#received.length < 4 || this.#received.length < 4 + this.#received.readInt32BE(0)) return;
    const answer = this.#received.subarray(8);
    this.#received = Buffer.alloc(0);
    this.#awaits?.resolve(answer);
  }
}

function failOn(code: number, what: string): void {
  if (code !== 0) throw new Error(`${what}: the broker answers code ${code}`);
}

function int16(value: number): Buffer {
  const buffer = Buffer.alloc(2);
  buffer.writeInt16BE(value);
  return buffer;
}

function int32(value: number): Buffer {
  const buffer = Buffer.alloc(4);
  buffer.writeInt32BE(value);
  return buffer;
}

function int64(value: number): Buffer {
  const buffer = Buffer.alloc(8);
  buffer.writeBigInt64BE(BigInt(value));
  return buffer;
}

const string = (text: string) => Buffer.concat([int16(Buffer.byteLength(text)), Buffer.from(text)]);

class Reader {
  readonly #buffer: Buffer;
  at = 0;

  constructor(buffer: Buffer) {
    this.#buffer = buffer;
  }

  int16(): number {
    this.at += 2;
    return this.#buffer.readInt16BE(this.at - 2);
  }

  int32(): number {
    this.at += 4;
    return this.#buffer.readInt32BE(this.at - 4);
  }

  int64(): number {
    this.at += 8;
    return Number(this.#buffer.readBigInt64BE(this.at - 8));
  }

  /** null reads as ''. */
  string(): string {
    const length = Math.max(0, this.int16());
    this.at += length;
    return this.#buffer.toString('utf8', this.at - length, this.at);
  }

  bytes(): Buffer {
    const length = Math.max(0, this.int32());
    this.at += length;
    return this.#buffer.subarray(this.at - length, this.at);
  }

  array<T>(one: () => T): T[] {
    const items: T[] = [];
    for (let count = this.int32(); count > 0; count -= 1) items.push(one());
    return items;
  }
}
