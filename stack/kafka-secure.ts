/** A second listener of a broker, with TLS and logins, and what a client needs to trust it and to be let in. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './command.ts';
import { java } from './java.ts';
import { kafkaTool } from './kafka.ts';
import { freePort } from './ports.ts';
import type { Log } from './progress.ts';

export interface SecureListener {
  /** `localhost:PORT`, as its certificate says; 127.0.0.1 is the same place under a name that the certificate lacks. */
  readonly url: string;
  readonly port: number;
  /** The certificate to trust (PEM). */
  readonly caFile: string;
  /** For the broker's `extraArgs`. */
  readonly settings: readonly string[];
}

export interface KafkaUser {
  readonly username: string;
  readonly password: string;
}

const storePassword = 'changeit';

/** Makes a key and its certificate in `folder`. The user is known to PLAIN from the start; `addScramUser` makes it known to SCRAM. */
export async function secureListener(
  folder: string,
  { username, password }: KafkaUser,
  log: Log = () => undefined,
): Promise<SecureListener> {
  await mkdir(folder, { recursive: true });
  const [store, caFile, port] = [join(folder, 'broker.p12'), join(folder, 'ca.pem'), await freePort()];
  const known = ['-alias', 'broker', '-storetype', 'PKCS12', '-keystore', store, '-storepass', storePassword];
  const made = ['-keyalg', 'RSA', '-keysize', '2048', '-validity', '3650', '-dname', 'CN=localhost', '-ext', 'SAN=dns:localhost'];
  await keytool(['-genkeypair', ...known, ...made], log);
  await keytool(['-exportcert', '-rfc', ...known, '-file', caFile], log);
  const modules = 'org.apache.kafka.common.security';
  const listener = 'listener.name.sasl_ssl';
  const settings = [
    `listeners+=SASL_SSL://127.0.0.1:${port}`,
    `advertised.listeners+=SASL_SSL://localhost:${port}`,
    'listener.security.protocol.map+=SASL_SSL:SASL_SSL',
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
    `${listener}.ssl.keystore.type=PKCS12`,
    `${listener}.ssl.keystore.location=${store}`,
    `${listener}.ssl.keystore.password=${storePassword}`,
    `${listener}.plain.sasl.jaas.config=${modules}.plain.PlainLoginModule required user_${username}="${password}";`,
    ...['256', '512'].map((bits) => `${listener}.scram-sha-${bits}.sasl.jaas.config=${modules}.scram.ScramLoginModule required;`),
  ];
  return { url: `localhost:${port}`, port, caFile, settings };
}

/** By the plain listener of a broker that runs. */
export async function addScramUser(url: string, { username, password }: KafkaUser, log: Log = () => undefined): Promise<void> {
  const user = ['--entity-type', 'users', '--entity-name', username];
  // One at a time: a request may not change a user twice.
  for (const bits of ['256', '512']) {
    const kind = `SCRAM-SHA-${bits}=[iterations=4096,password=${password}]`;
    await run(await kafkaTool('kafka.admin.ConfigCommand', ['--bootstrap-server', url, '--alter', '--add-config', kind, ...user], log));
  }
}

/** Comes with every Java, as a class of its base, also where there is no program of that name. */
async function keytool(args: readonly string[], log: Log): Promise<void> {
  await run(await java(['-m', 'java.base/sun.security.tools.keytool.Main', ...args], log));
}
