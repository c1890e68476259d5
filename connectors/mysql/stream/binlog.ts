/**
 * zongji behind a pull buffer. zongji owns connection, authentication, framing and the dump command; the packets go to our
 * reader. The hook uses private members of exactly zongji 0.9.0: test/integration/mysql-stream.test.ts fails when they change.
 */
import ZongJi from '@vlasky/zongji';
import type { SourceBatch } from '../../../src/core/source-port.ts';
import { CrossfadeError, asCrossfadeError } from '../../../src/core/errors.ts';
import { connectionOptions, serverName } from '../server/metadata.ts';
import type { MysqlSettings } from '../config.ts';
import { fromDriver, unreachable } from '../errors.ts';
import { InTurn } from './in-turn.ts';
import { assembleLargePackets, free, type PacketParser } from './large-packets.ts';
import { Outbox } from './outbox.ts';
import type { ReadPlan } from '../position/read-plan.ts';
import type { ReaderOptions } from './reader-options.ts';
import { BinlogReader } from './reader.ts';

/** mysql2's packet, one object used again for each: the payload is from `offset` to `end`. */
interface Packet {
  readonly buffer: Buffer;
  readonly offset: number;
  readonly end: number;
  isEOF(): boolean;
  isError(): boolean;
  asError(encoding: string): Error;
}
interface DumpConnection {
  readonly clientEncoding: string;
  readonly packetParser: PacketParser;
  query(sql: string, done: (error: unknown) => void): void;
  pause(): void;
  resume(): void;
}
type Step = (packet: Packet, connection: DumpConnection) => Step | null;
interface BinlogCommand {
  start(packet: Packet, connection: DumpConnection): Step;
  on(event: 'error', listener: (error: unknown) => void): void;
}
interface ZongjiInside {
  BinlogClass: new (callback: unknown) => BinlogCommand;
  readonly connection: DumpConnection | null;
}

export interface Dump {
  readonly plan: ReadPlan;
  readonly reader: ReaderOptions;
  readonly serverId: number;
}

/** Paused longer than this, and the server ends the connection: a sink that stalls for hours is ours to bear, not its. */
const netWriteTimeoutSeconds = 24 * 3600;
const missedHeartbeats = 3;

export class BinlogStream implements Disposable {
  readonly #zongji: ZongJi;
  readonly #reader: BinlogReader<Outbox>;
  readonly #outbox: Outbox;
  /** A transaction that does not fit into memory takes its time; what the socket still brings waits behind it. */
  readonly #inTurn: InTurn;
  readonly #doing: string;
  readonly #watchdog: NodeJS.Timeout;
  #silentTicks = 0;
  #stopped = false;

  constructor(settings: MysqlSettings, dump: Dump) {
    this.#doing = `reading the binlog of ${serverName(settings)}`;
    this.#zongji = new ZongJi(connectionOptions(settings));
    const inside = this.#zongji as unknown as ZongjiInside;
    const valve = { pause: () => inside.connection?.pause(), resume: () => this.#inTurn.busy || inside.connection?.resume() };
    this.#reader = new BinlogReader(dump.plan, dump.reader, (progress) => new Outbox(progress, valve));
    this.#outbox = this.#reader.outbox;
    this.#inTurn = new InTurn({
      pause: () => inside.connection?.pause(),
      resume: () => this.#outbox.paused || inside.connection?.resume(),
      failed: (error) => this.#failed(error),
    });
    this.#zongji.on('error', (error: unknown) => this.#fail(error));
    this.#zongji.on('ready', () => this.#prepare(inside, settings.heartbeatSeconds));
    this.#zongji.start(startOptions(dump));
    // Ticks, not a clock: a process that was busy or frozen must not take its own silence for the server's.
    this.#watchdog = setInterval(() => this.#watch(), settings.heartbeatSeconds * 1000);
  }

  /** Bytes of changes that wait for the consumer. */
  get bufferedBytes(): number {
    return this.#outbox.bytes;
  }

  next(): Promise<SourceBatch> {
    return this.#outbox.next();
  }

  /** Ends the stream; `next` throws the reason as it is. */
  abort(reason: unknown): void {
    this.#stop();
    this.#outbox.fail(reason);
  }

  /** What waits for room in the outbox, a file open perhaps, learns of it too. */
  [Symbol.dispose](): void {
    this.abort(unreachable('the reading ended'));
  }

  /** `ready` comes synchronously before the dump command is queued: what is asked here runs first. */
  #prepare(zongji: ZongjiInside, heartbeatSeconds: number): void {
    const { connection } = zongji;
    const nanoseconds = Math.round(heartbeatSeconds * 1e9);
    // The names that one flavor does not know are only variables of the session there. zongji itself sets the GTID position and
    // the capability of MariaDB; strict: a GTID that its binlog lacks is an error, not the next one that it has.
    const session = `SET @master_heartbeat_period = ${nanoseconds}, @source_heartbeat_period = ${nanoseconds},
      @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32',
      @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0, SESSION net_write_timeout = ${netWriteTimeoutSeconds}`;
    connection?.query(session, (error) => {
      if (error) this.#fail(error);
    });
    if (connection) assembleLargePackets(connection.packetParser);
    const packet = this.#packet.bind(this);
    const failed = (error: unknown) => this.#fail(error);
    zongji.BinlogClass = class extends zongji.BinlogClass {
      constructor(callback: unknown) {
        super(callback);
        this.on('error', failed);
      }
      override start(first: Packet, connection: DumpConnection): Step {
        super.start(first, connection);
        return packet;
      }
    };
  }

  #packet(packet: Packet, connection: DumpConnection): Step | null {
    if (this.#stopped) return null;
    this.#silentTicks = 0;
    if (packet.isError()) {
      const error = packet.asError(connection.clientEncoding);
      this.#inTurn.run(() => this.#fail(error));
    } else if (packet.isEOF()) this.#inTurn.run(() => this.#fail(unreachable(`${this.#doing}: the server ended the stream`)));
    else if (this.#inTurn.busy) {
      const copy = Buffer.from(packet.buffer.subarray(packet.offset + 1, packet.end));
      this.#inTurn.run(() => (this.#stopped ? undefined : this.#reader.event(copy, 0, copy.length)));
    } else this.#event(packet);
    return this.#stopped ? null : this.#step;
  }
  /** Without a function made for each packet. A large one is 16 MB or much more: its memory is not left to the next collection of garbage. */
  #event({ buffer, offset, end }: Packet): void {
    try {
      const slow = this.#reader.event(buffer, offset + 1, end);
      if (slow) this.#inTurn.wait(slow.then(() => free(buffer)));
      else free(buffer);
    } catch (error) {
      this.#failed(error);
    }
  }
  readonly #step: Step = (packet, connection) => this.#packet(packet, connection);

  #watch(): void {
    this.#silentTicks = this.#outbox.paused || this.#inTurn.busy ? 0 : this.#silentTicks + 1;
    if (this.#silentTicks <= missedHeartbeats) return;
    this.#fail(
      new CrossfadeError({
        code: 'SOURCE_SILENT',
        fault: 'retry',
        message: `${this.#doing}: the server sent nothing, not even a heartbeat`,
        remedy: 'Crossfade connects again by itself. If this lasts, something between here and the server swallows packets.',
      }),
    );
  }

  #failed(error: unknown): void {
    this.#fail(asCrossfadeError(error));
  }

  /** Stops at once; what the connection says afterwards is noise of its teardown. */
  #fail(error: unknown): void {
    if (this.#stopped) return;
    this.#stop();
    const failure = fromDriver(error, this.#doing);
    this.#outbox.fail(failure, failure.fault !== 'retry');
  }

  #stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    clearInterval(this.#watchdog);
    this.#zongji.stop();
    this.#reader[Symbol.dispose]();
  }
}

/** What the dump command is asked for. */
export function startOptions({ plan, serverId }: Pick<Dump, 'plan' | 'serverId'>): {
  serverId: number;
  gtidSet?: string;
  filename?: string;
  position?: number;
} {
  if (plan.byGtid && !plan.seedGtids) return { serverId, gtidSet: plan.dumpGtids };
  // The dump command has 32 bits for an offset; what lies beyond is reached from the file's start.
  return { serverId, filename: plan.dumpFrom.file, position: plan.dumpFrom.offset > 0xffffffff ? 4 : plan.dumpFrom.offset };
}
