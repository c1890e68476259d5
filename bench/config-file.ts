import { mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { benchDatabase } from './load.ts';

export interface BenchConfig {
  readonly mysqlUrl: string;
  readonly startGtid: string;
  readonly postgresUrl: string;
  readonly table: string;
  /** Each figure has a pipeline, and so a log and a progress, of its own. */
  readonly pipeline: string;
  /** The broker; the embedded log without one. */
  readonly kafkaUrl?: string | undefined;
}

export interface ConfigFolder extends Disposable {
  readonly folder: string;
  readonly configPath: string;
}

export const benchService = 'bench';

export function makeConfig(config: BenchConfig): ConfigFolder {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), 'crossfade-bench-')));
  const configPath = join(folder, 'crossfade.yaml');
  writeFileSync(configPath, configText(config));
  return { folder, configPath, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) };
}

export function configText({ mysqlUrl, startGtid, postgresUrl, table, pipeline, kafkaUrl }: BenchConfig): string {
  return `pipeline: ${pipeline}
source:
  mysql: { url: ${JSON.stringify(mysqlUrl)}, start: { gtid: ${JSON.stringify(startGtid)} } }
log: ${kafkaUrl === undefined ? 'embedded' : `{ kafka: '${kafkaUrl}' }`}
services:
  ${benchService}:
    postgres: ${postgresUrl}
    tables:
      ${benchDatabase}.${table}: { to: public.${table} }
`;
}
