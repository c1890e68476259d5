/** Everything about a Redis and its mappings that a person should know before rows go there. */
import type { Redis } from 'ioredis';
import { tableName, type TableSchema } from '../../src/core/change.ts';
import { asCrossfadeError } from '../../src/core/errors.ts';
import type { Finding } from '../../src/core/ports.ts';
import { evaluate, loadScript } from './connection.ts';
import { redisError, refusedKey } from './errors.ts';
import { keyPattern, templatesMayMeet } from './key-template.ts';
import { versionField, type HashMapping } from './row-batch.ts';

const probeScript = loadScript('probe');

export interface RedisCheck {
  /** `service storefront` */
  readonly where: string;
  readonly address: string;
  readonly user: string;
  readonly mappings: readonly HashMapping[];
  readonly schemas: readonly (TableSchema | undefined)[];
  readonly probeKey: string;
}

export async function checkRedis(connect: () => Promise<Redis>, subject: RedisCheck): Promise<Finding[]> {
  const findings = checkMappings(subject);
  try {
    const redis = await connect();
    const info = await readInfo(redis);
    if (info) findings.push(...checkInfo(info, subject.where));
    else findings.push(infoRefused(subject));
    // A replica refuses the probe for being one: that has been said.
    if (info?.get('role') !== 'slave') findings.push(...(await checkPrivileges(redis, subject)));
  } catch (error) {
    findings.push(unusable(error, subject));
  }
  return findings;
}

function unusable(error: unknown, subject: RedisCheck): Finding {
  const { where, address, user } = subject;
  const { code, message, remedy } = asCrossfadeError(error);
  const finding: Finding = { level: 'error', code, where, message: `${address}: ${message}. ${remedy}` };
  if (code === 'TARGET_AUTH') return { ...finding, fix: `ACL SETUSER ${user} on ><password>` };
  return code === 'TARGET_PRIVILEGE' ? { ...finding, fix: grantStatement(subject, false) } : finding;
}

const oldest = [6, 2] as const;

/** The fields of INFO; undefined where the user may not ask. */
async function readInfo(redis: Redis): Promise<ReadonlyMap<string, string> | undefined> {
  try {
    const fields = (await redis.info()).matchAll(/^([a-z_]+):(.*?)\r?$/gm);
    return new Map(Array.from(fields, ([, name, value]) => [name as string, value as string]));
  } catch (error) {
    const known = redisError(error, 'reading INFO');
    if (known.code !== 'TARGET_PRIVILEGE') throw known;
    return undefined;
  }
}

function infoRefused({ where, user }: RedisCheck): Finding {
  const message = 'the user may not ask INFO, so version, role, eviction and persistence of this Redis were not checked';
  return { level: 'warning', code: 'TARGET_PRIVILEGE', where, message, fix: `ACL SETUSER ${user} +info` };
}

/** Pure: what the fields of INFO say. */
export function checkInfo(info: ReadonlyMap<string, string>, where: string): Finding[] {
  const findings: Finding[] = [];
  const add = (level: Finding['level'], message: string, fix?: string) =>
    findings.push({ level, code: 'TARGET_SETTING', where, message, ...(fix === undefined ? {} : { fix }) });
  const version = info.get('redis_version') ?? '0.0';
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < oldest[0] || (major === oldest[0] && minor < oldest[1]))
    add('error', `Redis ${version} is too old: 6.2 is the oldest that is supported`);
  if (info.get('cluster_enabled') === '1')
    add('error', 'this Redis is a cluster, which is not supported yet: use a single primary with replicas');
  if (info.get('role') === 'slave') {
    add('error', `this Redis is a replica of ${info.get('master_host')}:${info.get('master_port')}: name the primary instead`);
  }
  const policy = info.get('maxmemory_policy') ?? 'noeviction';
  if (policy !== 'noeviction') {
    const evicts = info.get('maxmemory') !== '0' && policy.startsWith('allkeys');
    const fix = 'CONFIG SET maxmemory-policy noeviction';
    if (evicts) add('error', `maxmemory-policy is ${policy}: Redis will drop rows and progress when it is full`, fix);
    else add('warning', `maxmemory-policy is ${policy}: with a maxmemory, Redis may drop keys when it is full`, fix);
  }
  if (info.get('aof_enabled') === '0') {
    const message =
      'appendonly is off: a restart of this Redis loses what it wrote since its last snapshot. Progress is lost with it, so those changes are applied again from the log while the log still has them';
    add('warning', message, 'CONFIG SET appendonly yes');
  }
  return findings;
}

async function checkPrivileges(redis: Redis, subject: RedisCheck): Promise<Finding[]> {
  const { where, user, mappings, probeKey } = subject;
  try {
    // A bare % is in no rendered key.
    const templates = mappings.map(({ template }) => template.literals.join('%'));
    await evaluate(redis, probeScript, [probeKey, ...templates], []);
    return [];
  } catch (error) {
    const known = redisError(error, 'trying every command');
    if (known.code !== 'TARGET_PRIVILEGE') throw known;
    const keys = refusedKey(error);
    const message = `the Redis user ${user} may not ${keys ? 'touch every key' : 'run every command'} that this service needs`;
    return [{ level: 'error', code: known.code, where, message, fix: grantStatement(subject, keys) }];
  }
}

/** Patterns only where one is missing: Redis refuses them for a user who may touch every key already. */
function grantStatement({ user, mappings }: RedisCheck, keys: boolean): string {
  const patterns = ['crossfade:*', ...mappings.map(({ template }) => keyPattern(template))];
  const commands = 'eval evalsha del sadd smembers hset hget hmget hdel hlen hincrby hscan scan info hello select';
  return [
    'ACL SETUSER',
    user,
    ...(keys ? [...new Set(patterns)].map((pattern) => `~${pattern}`) : []),
    ...commands.split(' ').map((name) => `+${name}`),
  ].join(' ');
}

/** Pure: templates against the tables' shapes and against each other. */
export function checkMappings({ where, mappings, schemas }: Pick<RedisCheck, 'where' | 'mappings' | 'schemas'>): Finding[] {
  const findings: Finding[] = [];
  for (const [at, { source, template }] of mappings.entries()) {
    const place = `${where}: ${tableName(source)}`;
    const add = (level: Finding['level'], code: string, message: string, fix?: string) =>
      findings.push({ level, code, where: place, message, ...(fix === undefined ? {} : { fix }) });
    for (const other of mappings.slice(0, at)) {
      if (!templatesMayMeet(template, other.template)) continue;
      const message = `its key template "${template.text}" can render the same keys as "${other.template.text}" of ${tableName(other.source)}`;
      add('error', 'CONFIG_INVALID', `${message}: rows of the two would overwrite each other`, `key: "${source.table}:${template.text}"`);
    }
    const schema = schemas[at];
    if (schema) checkTemplate(schema, template.columns, template.text, add);
  }
  return findings;
}

/** The key's last column in a system-versioned table of MariaDB that does not name it otherwise; the source's check tells of all such tables. */
const rowEnd = 'row_end';

function checkTemplate(
  schema: TableSchema,
  columns: readonly string[],
  text: string,
  add: (level: Finding['level'], code: string, message: string, fix?: string) => void,
): void {
  const keyTemplate = `key: "${schema.table.table}:${schema.key.map((name) => `{${name}}`).join(':')}"`;
  for (const name of columns) {
    const column = schema.columns.find((one) => one.name === name);
    const known = schema.columns.map((one) => one.name).join(', ');
    if (!column)
      add(
        'error',
        'TARGET_COLUMN_MISSING',
        `its key template "${text}" names ${name}, which is no column behind its transforms (${known})`,
        keyTemplate,
      );
    else if (column.nullable)
      add('error', 'CONFIG_INVALID', `its key template "${text}" names ${name}, which can be NULL: such a row has no key`, keyTemplate);
  }
  const absent = schema.key.filter((name) => !columns.includes(name));
  if (absent.includes(rowEnd)) {
    const message = `its key template "${text}" leaves out ${rowEnd}, which tells the versions of a row apart: the former version comes behind the present one, and would stay in its place`;
    add('error', 'TARGET_KEY_MISSING', message, keyTemplate);
  } else if (absent.length > 0) {
    const message = `its key template "${text}" leaves out ${absent.join(', ')} of the table's key: if two rows render to one key, the later change wins and a delete of either removes it`;
    add('warning', 'TARGET_KEY_MISSING', message, keyTemplate);
  }
  if (schema.columns.some(({ name }) => name === versionField)) {
    add(
      'error',
      'CONFIG_INVALID',
      `its column ${versionField} has the name of Crossfade's own field`,
      `transforms: [ { rename: { ${versionField}: version } } ]`,
    );
  }
}
