import type { Finding } from '../../src/core/ports.ts';
import type { MysqlSettings } from './config.ts';
import type { MysqlSourceOptions } from './source.ts';
export async function checkSource(_settings: MysqlSettings, _options: MysqlSourceOptions): Promise<readonly Finding[]> {
  return [];
}
