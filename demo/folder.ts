import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { crossfadeProgram } from './pipeline.ts';
import { renamed, shopDatabase, shopTables, type ShopTable } from './shop.ts';
import { stockPrefix, type SideUrls } from './sides.ts';

/** A folder that a person can enter while the demo runs: the configuration, the program, and the log where it is the embedded one. */
export interface DemoFolder extends Disposable {
  readonly path: string;
}

const prefix = 'crossfade-demo-';
const ownerFile = '.demo.pid';

export function makeFolder(parent = tmpdir()): DemoFolder {
  sweepFolders(parent);
  const path = realpathSync(mkdtempSync(join(parent, prefix)));
  writeFileSync(join(path, ownerFile), String(process.pid));
  symlinkSync(crossfadeProgram, join(path, 'crossfade'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** A second Ctrl-C ends the demo before it can tidy up; the next one does it. */
function sweepFolders(parent: string): void {
  for (const name of readdirSync(parent).filter((each) => each.startsWith(prefix))) {
    try {
      if (isLeftOver(join(parent, name))) rmSync(join(parent, name), { recursive: true, force: true });
    } catch {
      // Somebody else's, or gone by now: not ours to remove.
    }
  }
}

function isLeftOver(path: string): boolean {
  let owner: number;
  try {
    owner = Number(readFileSync(join(path, ownerFile), 'utf8'));
  } catch {
    // Another demo may be about to write the file.
    return Date.now() - statSync(path).mtimeMs > 3_600_000;
  }
  try {
    return Number.isInteger(owner) && owner > 0 && !process.kill(owner, 0);
  } catch (error) {
    // EPERM: it lives, and belongs to another user.
    return error instanceof Error && 'code' in error && error.code === 'ESRCH';
  }
}

export function writeConfiguration(folder: string, urls: SideUrls, startGtid: string, broker?: string): void {
  writeFileSync(join(folder, 'crossfade.yaml'), configuration(urls, startGtid, broker));
}

/** The services of the file below. */
export const shopServices: readonly string[] = ['orders', 'storefront'];

/** The file that a person would write, with the place before the shop's first row as its start; without a broker the log is embedded. */
export function configuration(urls: SideUrls, startGtid: string, broker?: string): string {
  return `# Written by npm run demo. The whole reference: ./crossfade config reference
pipeline: shop
source:
  mysql:
    url: ${urls.mysql}
    # Before the shop's first row. Without it a new pipeline starts at the binlog's end.
    start: { gtid: ${JSON.stringify(startGtid)} }
log: ${broker === undefined ? 'embedded' : `{ kafka: '${broker}' }`}
services:
  orders:
    postgres: ${urls.postgres}
    tables:
${shopTables
  .filter(({ targets }) => targets.includes('postgres'))
  .map(postgresMapping)
  .join('\n')}
  storefront:
    redis: ${urls.redis}
    tables:
      ${shopDatabase}.stock: { shape: hash, key: "${stockPrefix}{sku}" }
`;
}

function postgresMapping({ name }: ShopTable): string {
  const names = renamed[name];
  const options = names ? ` { to: public.${name}, transforms: [ { rename: ${flow(names)} } ] }` : ` { to: public.${name} }`;
  return `      ${shopDatabase}.${name}:${options}`;
}

const flow = (names: Readonly<Record<string, string>>) =>
  `{ ${Object.entries(names)
    .map(([from, to]) => `${from}: ${to}`)
    .join(', ')} }`;
