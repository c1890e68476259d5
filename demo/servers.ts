import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';

import type { Server } from '../stack/server.ts';
import { startStack, type Stack } from '../stack/stack.ts';
import { shopDatabase, shopTables } from './shop.ts';
import type { SideUrls } from './sides.ts';

type Sides = 'mysql' | 'postgres' | 'redis';
/** With Kafka where it is the log. */
export type ShopStack = Stack<Sides> | Stack<Sides | 'kafka'>;
export const serviceDatabase = 'orders';

/** Real servers of the demo's own, which a person may kill. */
export async function startServers(log: (line: string) => void, withKafka: boolean): Promise<ShopStack> {
  const sides = ['mysql', 'postgres', 'redis'] as const;
  // A broker that lives for minutes is ready in half the time when Java does not optimise for a long life.
  if (withKafka) process.env['JDK_JAVA_OPTIONS'] ??= '-XX:TieredStopAtLevel=1';
  if (withKafka) return await startStack({ servers: [...sides, 'kafka'], log, isPrivate: true });
  return await startStack({ servers: sides, log, isPrivate: true });
}

/** The broker, where Kafka is the log. */
export function brokerOf({ servers }: ShopStack): Server | undefined {
  return 'kafka' in servers ? servers.kafka : undefined;
}

/** Makes the shop's empty tables and the service's empty database; answers the source's GTID set before the first row. */
export async function createShop(stack: ShopStack): Promise<{ urls: SideUrls; startGtid: string }> {
  const mysql = await createConnection({ uri: stack.urls.mysql, multipleStatements: true });
  const postgres = new Client({ connectionString: stack.urls.postgres });
  await postgres.connect();
  try {
    await mysql.query(`CREATE DATABASE ${shopDatabase} CHARACTER SET utf8mb4; USE ${shopDatabase}`);
    for (const { definition } of shopTables) await mysql.query(definition);
    const [rows] = await mysql.query('SELECT @@GLOBAL.gtid_executed AS gtid');
    await postgres.query(`CREATE DATABASE ${serviceDatabase}`);
    const url = new URL(stack.urls.postgres);
    url.pathname = `/${serviceDatabase}`;
    const startGtid = (rows as { gtid: string }[])[0]?.gtid.replaceAll(/\s/g, '') ?? '';
    return { urls: { mysql: stack.urls.mysql, postgres: url.href, redis: stack.urls.redis }, startGtid };
  } finally {
    await Promise.allSettled([mysql.end(), postgres.end()]);
  }
}

/** Starts a server again that somebody killed, and says so. One look; the caller decides how often. */
export class Keeper {
  readonly #servers: readonly Server[];
  readonly #onEvent: (text: string) => void;
  readonly #busy = new Set<Server>();

  constructor(stack: ShopStack, onEvent: (text: string) => void) {
    this.#servers = Object.values(stack.servers);
    this.#onEvent = onEvent;
  }

  /** Somebody killed a server that does not serve again yet. */
  get isBusy(): boolean {
    return this.#busy.size > 0;
  }

  look(): void {
    for (const server of this.#servers) {
      if (server.via !== 'native' || server.pid !== undefined || this.#busy.has(server)) continue;
      void this.#revive(server);
    }
  }

  async #revive(server: Server): Promise<void> {
    this.#busy.add(server);
    const startedMs = performance.now();
    try {
      await server.start();
      this.#onEvent(
        `${server.name} was killed, started again as ${server.pid} after ${((performance.now() - startedMs) / 1000).toFixed(1)} s`,
      );
    } catch (error) {
      this.#onEvent(`${server.name} does not start: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
    } finally {
      this.#busy.delete(server);
    }
  }
}
