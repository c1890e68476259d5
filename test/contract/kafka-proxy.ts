/**
 * Stands between a client and one Kafka broker and knows its frames: it can cut before the broker has a request, cut or freeze
 * after it has, or be late with it. The broker's own address is replaced in what it says, so that clients stay with the proxy.
 */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * `before`: cut, the broker never has it. `after`: cut when the broker has answered. `freeze`: the connection stays, but
 * nothing comes any more. `late`: cut, and the broker gets it when the client may have sent it again already.
 */
export type Fault = 'pass' | 'before' | 'after' | 'freeze' | 'late' | ProduceCode;

/** An answer to Produce with this code for every partition; `stored`: the broker has the batches all the same. */
interface ProduceCode {
  readonly code: number;
  readonly stored: boolean;
}

const metadataKey = 3;
const coordinatorKey = 10;
const lateMs = 30;

interface Pipe {
  readonly client: Socket;
  readonly broker: Socket;
  readonly apiKeys: Map<number, number>;
  readonly losing: Map<number, 'after' | 'freeze' | ProduceCode>;
  frozen: boolean;
}

interface Decider {
  count: number;
  readonly decide: (count: number) => Fault;
}

export async function startKafkaProxy(brokerUrl: string): Promise<KafkaProxy> {
  const proxy = new KafkaProxy(brokerUrl);
  await proxy.listen();
  return proxy;
}

export class KafkaProxy implements AsyncDisposable {
  /** How many decisions were a fault. */
  faults = 0;
  /** Requests that are `late` wait until this is resolved, instead of a moment. */
  lateUntil: Promise<void> | undefined;
  /** Of this topic's first partition the answers to Metadata v10 say that nobody leads it. */
  leaderless: string | undefined;
  readonly #host: string;
  readonly #brokerPort: number;
  readonly #server = createServer((client) => this.#join(client));
  readonly #pipes = new Set<Pipe>();
  readonly #deciders = new Map<number, Decider>();
  #port = 0;

  constructor(brokerUrl: string) {
    const [host = '', port = ''] = brokerUrl.split(':');
    this.#host = host;
    this.#brokerPort = Number(port);
  }

  get url(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Decides on each request of that kind (0 is Produce); counts from 0. */
  onRequest(apiKey: number, decide: (count: number) => Fault): void {
    this.#deciders.set(apiKey, { count: 0, decide });
  }

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    this.#port = typeof address === 'object' && address ? address.port : 0;
  }

  #join(client: Socket): void {
    const broker = connect(this.#brokerPort, this.#host);
    const pipe: Pipe = { client, broker, apiKeys: new Map(), losing: new Map(), frozen: false };
    this.#pipes.add(pipe);
    for (const socket of [client, broker]) {
      socket.setNoDelay(true);
      socket.on('error', () => socket.destroy());
    }
    inFrames(client, (frame) => this.#fromClient(pipe, frame));
    inFrames(broker, (frame) => this.#fromBroker(pipe, frame));
    client.on('end', () => {
      // One whose request is late keeps its way to the broker.
      if (this.#pipes.has(pipe)) this.#end(pipe);
    });
    broker.on('close', () => this.#end(pipe));
  }

  #fromClient(pipe: Pipe, frame: Buffer): void {
    const apiKey = frame.readInt16BE(4);
    const correlationId = frame.readInt32BE(8);
    const decider = this.#deciders.get(apiKey);
    const fault = decider?.decide(decider.count++) ?? 'pass';
    if (fault !== 'pass') this.faults += 1;
    if (fault === 'before') return this.#end(pipe);
    if (fault === 'late') return this.#delay(pipe, frame);
    if (typeof fault === 'object' && !fault.stored) return void pipe.client.write(refusal(frame, correlationId, fault.code));
    pipe.apiKeys.set(correlationId, apiKey);
    if (fault !== 'pass') pipe.losing.set(correlationId, fault);
    pipe.broker.write(frame);
  }

  #delay(pipe: Pipe, frame: Buffer): void {
    pipe.client.destroy();
    this.#pipes.delete(pipe);
    void (this.lateUntil ?? sleep(lateMs)).then(() => pipe.broker.end(frame));
  }

  #fromBroker(pipe: Pipe, frame: Buffer): void {
    const correlationId = frame.readInt32BE(4);
    const apiKey = pipe.apiKeys.get(correlationId);
    pipe.apiKeys.delete(correlationId);
    const losing = pipe.losing.get(correlationId);
    if (losing === 'after') return this.#end(pipe);
    if (losing === 'freeze') pipe.frozen = true;
    if (pipe.frozen) return;
    if (typeof losing === 'object') setCodes(frame, losing.code);
    if (apiKey === metadataKey || apiKey === coordinatorKey) this.#readdress(frame);
    if (apiKey === metadataKey && this.leaderless !== undefined) depose(frame, this.leaderless);
    pipe.client.write(frame);
  }

  /** What the broker says of itself becomes us. */
  #readdress(frame: Buffer): void {
    const [own, ours] = [this.#brokerPort, this.#port].map((port) => {
      const bytes = Buffer.alloc(this.#host.length + 4);
      bytes.write(this.#host);
      bytes.writeInt32BE(port, this.#host.length);
      return bytes;
    });
    if (!own || !ours) return;
    for (let at = frame.indexOf(own); at >= 0; at = frame.indexOf(own, at + ours.length)) ours.copy(frame, at);
  }

  #end(pipe: Pipe): void {
    pipe.client.destroy();
    pipe.broker.destroy();
    this.#pipes.delete(pipe);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const pipe of this.#pipes) this.#end(pipe);
    this.#server.close();
    await once(this.#server, 'close');
  }
}

/** Behind a topic's name come its id, whether it is internal, and its partitions: their number, then code, number and leader of each. */
function depose(frame: Buffer, topic: string): void {
  const leaderNotAvailable = 5;
  const nameAt = frame.indexOf(topic);
  if (nameAt < 0) return;
  const partitionAt = nameAt + topic.length + 16 + 1 + 1;
  frame.writeInt16BE(leaderNotAvailable, partitionAt);
  frame.writeInt32BE(-1, partitionAt + 6);
}

/** Whole frames, with their length in front. */
function inFrames(socket: Socket, take: (frame: Buffer) => void): void {
  let chunks: Buffer[] = [];
  let bytes = 0;
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    bytes += chunk.length;
    while (bytes >= 4 && !socket.destroyed) {
      const all = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
      chunks = [all];
      const length = 4 + all.readInt32BE(0);
      if (bytes < length) return;
      chunks = [all.subarray(length)];
      bytes -= length;
      take(Buffer.from(all.subarray(0, length)));
    }
  });
}

/** The codes in an answer to Produce v7. */
function setCodes(frame: Buffer, code: number): void {
  let at = 8;
  const topics = frame.readInt32BE(at);
  at += 4;
  for (let topic = 0; topic < topics; topic += 1) {
    at += 2 + frame.readInt16BE(at);
    const partitions = frame.readInt32BE(at);
    at += 4;
    for (let partition = 0; partition < partitions; partition += 1, at += 30) frame.writeInt16BE(code, at + 4);
  }
}

/** An answer to a Produce v7 that the broker never gets. */
function refusal(frame: Buffer, correlationId: number, code: number): Buffer {
  // Header up to the client's name, then no transactional id, acks and timeout.
  let at = 12;
  at += 2 + Math.max(0, frame.readInt16BE(at)) + 2 + 2 + 4;
  const parts = [Buffer.alloc(8), frame.subarray(at, at + 4)];
  const topics = frame.readInt32BE(at);
  at += 4;
  for (let topic = 0; topic < topics; topic += 1) {
    const nameEnd = at + 2 + frame.readInt16BE(at);
    parts.push(frame.subarray(at, nameEnd + 4));
    const partitions = frame.readInt32BE(nameEnd);
    at = nameEnd + 4;
    for (let partition = 0; partition < partitions; partition += 1) {
      const answer = Buffer.alloc(30, 255);
      frame.copy(answer, 0, at, at + 4);
      answer.writeInt16BE(code, 4);
      parts.push(answer);
      at += 8 + frame.readInt32BE(at + 4);
    }
  }
  const out = Buffer.concat([...parts, Buffer.alloc(4)]);
  out.writeInt32BE(out.length - 4, 0);
  out.writeInt32BE(correlationId, 4);
  return out;
}
