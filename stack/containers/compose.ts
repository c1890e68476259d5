import { readdir, readFile } from 'node:fs/promises';

import { run } from '../command.ts';
import type { Log } from '../progress.ts';
import type { ComposeProject } from './compose-project.ts';
import { openComposeProject } from './compose-project.ts';
import type { Shop } from './compose-shop.ts';
import { openShop } from './compose-shop.ts';
import { startHealthClock } from './health.ts';
import { outcome } from './outcome.ts';
import type { Podman } from './podman.ts';
import type { Proof } from './proof.ts';
import { must, until } from './proof.ts';

const SERVERS = ['mysql', 'kafka', 'postgres', 'redis'] as const;
type Claim = (text: string, attempt: () => Promise<string>) => Promise<boolean>;
/** When a service's container was first seen healthy, in milliseconds since the epoch. */
type SinceMs = (service: string) => number | undefined;
const FIRST_ORDERS = ['1 Ada 19.90 placed', '2 Grace 240.00 placed', '3 Barbara 7.50 placed'];

/** Brings docker-compose.yml up, uses it as a newcomer would, kills what it can kill, and takes it down; then once more without Kafka. */
export async function proveCompose(podman: Podman, proof: Proof, log: Log): Promise<void> {
  for (const logKind of ['kafka', 'embedded'] as const) {
    log(`docker-compose.yml, its log ${logKind}:`);
    await using project = await openComposeProject(podman, logKind, log);
    await using clock = startHealthClock(podman.socketPath);
    const healthy = (service: string) => clock.healthySinceMs.get(`${project.name}-${service}-1`);
    const claim: Claim = async (text, attempt) => {
      const isTrue = await proof.claim(`${logKind}: ${text}`, attempt);
      if (!isTrue) log((await logsOf(project, 20, 'crossfade')).slice(-4000));
      return isTrue;
    };
    if (await claim('`docker compose up --wait` ends with every container healthy', () => comeUp(project, healthy))) {
      await clock[Symbol.asyncDispose]();
      await claim('Crossfade started when its four servers were healthy', () => startedLast(project, healthy));
      if (logKind === 'kafka') await proveSurroundings(podman, project, claim);
      await proveRows(project, claim);
    } else log(await logsOf(project, 8));
    await claim('`docker compose down --volumes` leaves nothing', () => leavesNothing(podman, project));
  }
}

/** What does not depend on rows. */
async function proveSurroundings(podman: Podman, project: ComposeProject, claim: Claim): Promise<void> {
  await claim('every port is open on this machine only', () => loopbackOnly(project));
  await claim('no password stands on a command line, in a log or in the settings of a container', () => keepsSecrets(podman, project));
  await claim('/readyz, /status and /metrics answer on the published port', () => answersMonitors(project));
  await claim('process 1 is Node with the flags of bin/crossfade', () => isNode(project));
  await claim('Crossfade runs on a read-only root without capabilities', () => isConfined(podman, project));
}

async function proveRows(project: ComposeProject, claim: Claim): Promise<void> {
  let shop: Shop | undefined;
  await claim('the rows of the first start arrive in Postgres and Redis', async () => {
    shop = await openShop(project);
    await arrive(shop, FIRST_ORDERS, { 'TEA-0001': '120', 'TEA-0002': '35', 'CUP-0001': '8' });
    return '3 orders, 3 articles';
  });
  if (!shop) return;
  await using open = shop;
  await claim('`crossfade check` in the container finds nothing wrong', async () => {
    const said = await outcome(project.compose('exec', '-T', 'crossfade', 'crossfade', 'check'));
    must(said.code === 0, `exit code ${said.code}: ${said.output}`);
    return said.output.trim().split('\n').at(-1) ?? '';
  });
  await claim('the commands of the guide go through', () => asTheGuideSays(project, open));
  await claim('a killed Crossfade comes back by itself and goes on', () => survivesKill(project, open));
  await claim('`docker compose stop` drains Crossfade: exit code 0', () => drains(project));
  await claim('started again it goes on where it stopped', async () => {
    await open.write(`INSERT INTO orders (customer, total) VALUES ('Radia', 3.14)`);
    await run(project.compose('start', 'crossfade'));
    return await arrived(open, (orders) => orders.at(-1) === '6 Radia 3.14 placed');
  });
}

async function comeUp(project: ComposeProject, healthy: SinceMs): Promise<string> {
  const startedMs = Date.now();
  const up = await outcome(project.compose('--progress=plain', 'up', '--detach', '--no-build', '--wait', '--wait-timeout', '400'));
  must(up.code === 0, up.output.trimEnd().split('\n').slice(-12).join('\n'));
  const after = [...SERVERS, 'crossfade'].map((service) => {
    const sinceMs = healthy(service);
    if (sinceMs === undefined) throw new Error(`${service} was never seen healthy`);
    return `${service} ${((sinceMs - startedMs) / 1000).toFixed(0)} s`;
  });
  return after.join(', ');
}

async function startedLast(project: ComposeProject, healthy: SinceMs): Promise<string> {
  const { State } = await project.inspect('crossfade');
  const startedMs = Date.parse(State.StartedAt);
  const late = SERVERS.filter((service) => (healthy(service) ?? Infinity) > startedMs);
  must(late.length === 0, `it started before ${late.join(', ')} was healthy`);
  return `${((startedMs - Math.max(...SERVERS.map((service) => healthy(service) ?? 0))) / 1000).toFixed(1)} s after the last of them`;
}

async function loopbackOnly(project: ComposeProject): Promise<string> {
  const found: string[] = [];
  for (const service of [...SERVERS, 'crossfade']) {
    const { NetworkSettings } = await project.inspect(service);
    for (const [port, bindings] of Object.entries(NetworkSettings.Ports))
      for (const { HostIp } of bindings ?? []) found.push(`${service} ${port} at ${HostIp}`);
  }
  must(found.length === 5 && found.every((line) => line.endsWith(' at 127.0.0.1')), found.join(', '));
  return `${found.length} ports`;
}

async function keepsSecrets(podman: Podman, project: ComposeProject): Promise<string> {
  const places = new Map<string, string>();
  for (const service of [...SERVERS, 'crossfade'])
    places.set(`the container of ${service}`, await run(podman.command('podman', ['inspect', `${project.name}-${service}-1`])));
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)))
    places.set(`process ${pid}`, await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')); // It may be gone meanwhile.
  places.set('the containers’ logs', await logsOf(project, 10_000));
  const open = [...places].flatMap(([place, text]) => {
    return [...project.secrets].flatMap(([name, value]) => (text.includes(value) ? [`${name} in ${place}`] : []));
  });
  must(project.secrets.size === 5 && open.length === 0, open.join(', '));
  return `${project.secrets.size} secrets, ${places.size} places`;
}

async function isNode(project: ComposeProject): Promise<string> {
  const { State } = await project.inspect('crossfade');
  const words = (await readFile(`/proc/${State.Pid}/cmdline`, 'utf8')).split('\0');
  must(words[0]?.endsWith('node') === true && words.includes('--max-semi-space-size=4'), words.join(' '));
  return words.slice(0, 3).join(' ');
}

async function answersMonitors({ ports }: ComposeProject): Promise<string> {
  const bytes: string[] = [];
  for (const path of ['/readyz', '/status', '/metrics'])
    // Alive comes before ready: what was just started answers 503 for some seconds, with the reason.
    await until(`status 200 of ${path}`, 120, async () => {
      const answer = await fetch(`http://127.0.0.1:${ports.CROSSFADE_PORT}${path}`, { signal: AbortSignal.timeout(10_000) });
      const body = await answer.text();
      if (answer.status !== 200) throw new Error(`${answer.status}: ${body.slice(0, 300)}`);
      bytes.push(`${path} ${body.length} bytes`);
      return true;
    });
  return bytes.join(', ');
}

/** What docs/guide.md tells a newcomer to type inside of the containers, word for word. */
async function asTheGuideSays(project: ComposeProject, shop: Shop): Promise<string> {
  const guide = await readFile(new URL('../../docs/guide.md', import.meta.url), 'utf8');
  const section = guide.slice(guide.indexOf('\n## Containers\n'));
  const [first = '', second = ''] = [...section.matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
  const write = first.slice(first.indexOf('docker compose exec mysql'));
  const looks = second.split('\n').filter((line) => line.startsWith('docker compose exec'));
  must(write !== '' && looks.length === 3, `the guide has ${looks.length} commands that look`);
  await run(project.shell(write));
  await arrive(shop, [...FIRST_ORDERS, '4 Edsger 12.50 placed'], { 'TEA-0001': '119' });
  const seen = await Promise.all(looks.map((line) => run(project.shell(line))));
  for (const [at, word] of ['Edsger', '119', 'orders'].entries()) must(seen[at]?.includes(word) === true, `${looks[at]}: ${seen[at]}`);
  return 'an insert and an update, seen by psql, redis-cli and crossfade status';
}

async function survivesKill(project: ComposeProject, shop: Shop): Promise<string> {
  const before = await project.inspect('crossfade');
  process.kill(before.State.Pid, 'SIGKILL');
  const startedMs = Date.now();
  await shop.write(`INSERT INTO orders (customer, total) VALUES ('Frances', 99.99)`);
  await shop.write(`DELETE FROM orders WHERE id = 2`);
  await shop.write(`UPDATE stock SET quantity = 7 WHERE sku = 'CUP-0001'`);
  await arrive(shop, ['1 Ada 19.90 placed', '3 Barbara 7.50 placed', '4 Edsger 12.50 placed', '5 Frances 99.99 placed'], {
    'CUP-0001': '7',
  });
  const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
  const after = await project.inspect('crossfade');
  must(after.State.Status === 'running' && after.State.Pid !== before.State.Pid, `it is ${after.State.Status}`);
  return `what was written meanwhile is there after ${seconds} s`;
}

async function drains(project: ComposeProject): Promise<string> {
  const startedMs = Date.now();
  await run(project.compose('stop', 'crossfade'));
  const { State } = await project.inspect('crossfade');
  must(State.ExitCode === 0, `exit code ${State.ExitCode}`);
  return `after ${((Date.now() - startedMs) / 1000).toFixed(1)} s`;
}

async function isConfined(podman: Podman, project: ComposeProject): Promise<string> {
  const { State } = await project.inspect('crossfade');
  const status = await readFile(`/proc/${State.Pid}/status`, 'utf8');
  const field = (name: string) => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? '';
  must(field('Uid') !== '0' && /^0+$/.test(field('CapEff')) && field('NoNewPrivs') === '1', status);
  const touch = await outcome(podman.command('podman', ['exec', `${project.name}-crossfade-1`, 'touch', '/opt/crossfade/x']));
  must(touch.code !== 0 && /Read-only file system/.test(touch.output), touch.output);
  return `uid ${field('Uid')}`;
}

async function leavesNothing(podman: Podman, project: ComposeProject): Promise<string> {
  await run(project.compose('down', '--volumes', '--timeout', '20'));
  for (const kind of ['container', 'volume', 'network']) {
    const ids = kind === 'container' ? ['--all', '--format', '{{.Names}}'] : ['--format', '{{.Name}}'];
    const left = (await run(podman.command('podman', [kind, 'ls', ...ids]))).split('\n').filter((line) => line.includes(project.name));
    must(left.length === 0, `${kind}s are left: ${left.join(', ')}`);
  }
  return '';
}

async function arrive(shop: Shop, orders: readonly string[], stock: Readonly<Record<string, string>>): Promise<void> {
  await arrived(shop, (found) => found.join('\n') === orders.join('\n'));
  await until(`the stock ${JSON.stringify(stock)} in Redis`, 120, async () => {
    const found = await Promise.all(Object.keys(stock).map((sku) => shop.quantity(sku)));
    return found.join() === Object.values(stock).join() ? true : undefined;
  });
}

async function arrived(shop: Shop, isThere: (orders: readonly string[]) => boolean): Promise<string> {
  let last: readonly string[] = [];
  try {
    return await until('the orders in Postgres', 120, async () => {
      last = await shop.orders();
      return isThere(last) ? `${last.length} orders` : undefined;
    });
  } catch (error) {
    throw new Error(`Postgres has: ${last.join('; ') || 'nothing'}`, { cause: error });
  }
}

async function logsOf(project: ComposeProject, lines: number, ...services: string[]): Promise<string> {
  return (await outcome(project.compose('logs', '--no-color', '--tail', String(lines), ...services))).output;
}
