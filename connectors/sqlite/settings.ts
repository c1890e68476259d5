import type { Logger } from '../../src/core/ports.ts';
import type { StreamSpec } from '../../src/core/log-port.ts';
import type { Codec } from '../../src/core/record-batch.ts';

export interface SqliteLogOptions {
  readonly pipeline: string;
  /** The streams that this process deals in; those that the file lacks are added to it. */
  readonly streams: readonly StreamSpec[];
  /** Groups that are expected to read, known before they ever joined: nothing is deleted that they have not applied. */
  readonly groups?: readonly { readonly name: string; readonly topics: readonly string[] }[];
  readonly codec: Codec;
  /** The entry of the thread in which a leader writes: it hands `serveAppends` its port, its task and a codec. */
  readonly appendThread: URL;
  readonly logger: Logger;
  readonly timing?: Partial<Timing>;
  readonly delivery?: Partial<DeliveryLimits>;
}

/** In milliseconds. Tests make them small. */
export interface Timing {
  /** How often leader and members show that they live. */
  readonly heartbeat: number;
  /** A member that was silent for so long has lost its partitions. */
  readonly memberExpiry: number;
  /** A leader that holds the lock and was silent for so long is frozen. */
  readonly leaderFrozen: number;
  /** How often a standby tries the lock. */
  readonly standby: number;
  /** How long a statement waits for another process's write. */
  readonly busy: number;
}

export const defaultTiming: Timing = { heartbeat: 1000, memberExpiry: 10_000, leaderFrozen: 5000, standby: 200, busy: 5000 };

/** One delivery: at least one stored batch, then no more than this. Bytes are those of the uncompressed records. */
export interface DeliveryLimits {
  readonly bytes: number;
  readonly records: number;
}

export const defaultDelivery: DeliveryLimits = { bytes: 4 * 1024 * 1024, records: 20_000 };
