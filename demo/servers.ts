import { createConnection } from 'mysql2/promise';
import { Client } from 'pg';

import type { Server } from '../stack/server.ts';
import { startStack, type Stack } from '../stack/stack.ts';
import { shopDatabase, shopTables } from './shop.ts';
import type { SideUrls } from './sides.ts';

export type ShopStack = Stack<'mysql' | 'postgres' | 'redis'>;
export const serviceDatabase = 'orders';

/** Real servers of the demo's own, which a person may kill. */
export async function startServers(log: (line: string) => void): Promise<ShopStack> {
  return await startStack({ servers: ['mysql', 'postgres', 'redis'], log, isPrivate: true });
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
