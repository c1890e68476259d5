/** A server of the stack at another port with the data that it had: what is left of it after a failover. */
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { freePort } from '../../../stack/ports.ts';
import { recipes } from '../../../stack/recipes.ts';
import { attachNative, type Server } from '../../../stack/server.ts';

/** Of a native server that is down; answers it running. The stack that it came from still ends it. */
export async function startedElsewhere(server: Server): Promise<Server> {
  if (server.dataDir === undefined || server.via !== 'native') throw new Error(`${server.name} is no process of this machine`);
  const folder = dirname(server.dataDir);
  const port = await freePort();
  const file = join(folder, 'server.json');
  const saved = JSON.parse(await readFile(file, 'utf8')) as { port: number };
  await writeFile(file, JSON.stringify({ ...saved, port }));
  if (server.name === 'kafka') {
    const properties = join(server.dataDir, 'server.properties');
    const text = await readFile(properties, 'utf8');
    // Its advertised address is the proxy's, and stays.
    await writeFile(properties, text.replace(/^(listeners=PLAINTEXT:\/\/127\.0\.0\.1:)\d+/m, `$1${port}`));
  }
  const moved = attachNative(recipes[server.name], folder, () => undefined);
  await moved.start();
  return moved;
}

export const portOf = (url: string) => Number(url.slice(url.lastIndexOf(':') + 1).replace(/\/.*/, ''));
