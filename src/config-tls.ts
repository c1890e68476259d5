/**
 * How every server is reached over TLS, spelled in one way. The connectors import this file, and no other of src outside
 * core: three copies of a security setting would drift apart.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { CrossfadeError } from './core/errors.ts';

const file = z.string().min(1).optional();

export const tlsSchema = z
  .union([
    z.boolean(),
    z
      .strictObject({
        ca: file.describe("File with the certificates to trust (PEM); without it the system's."),
        cert: file.describe('File with our certificate (PEM), where the server asks for one.'),
        key: file.describe('File with its key (PEM).'),
        verify: z.boolean().default(true).describe('Verify certificate and host name; `false` encrypts without knowing to whom.'),
      })
      .refine(({ cert, key }) => (cert === undefined) === (key === undefined), 'needs both "cert" and "key", or neither'),
  ])
  .describe(
    "true: encrypt, and verify the certificate and the host name. Paths are taken from the configuration file's folder; the files are read at each connection.",
  );

export type Tls = z.output<typeof tlsSchema>;

const fileSettings = ['ca', 'cert', 'key'] as const;
type FileSetting = (typeof fileSettings)[number];

/** The files that it names, by setting. */
export function tlsFiles(tls: Tls): readonly (readonly [FileSetting, string])[] {
  return typeof tls === 'boolean' ? [] : fileSettings.flatMap((name) => (tls[name] === undefined ? [] : [[name, tls[name]] as const]));
}

/** The same with absolute paths. */
export function tlsIn(folder: string, tls: Tls): Tls {
  if (typeof tls === 'boolean') return tls;
  return { ...tls, ...Object.fromEntries(tlsFiles(tls).map(([name, path]) => [name, resolve(folder, path)])) };
}

export interface TlsOptions extends Partial<Record<FileSetting, Buffer>> {
  readonly rejectUnauthorized: boolean;
}

/** What Node's own TLS takes; undefined for none. Read anew each time, so that a certificate that was renewed is found; throws CONFIG_UNREADABLE. */
export function tlsOptions(tls: Tls): TlsOptions | undefined {
  if (tls === false) return undefined;
  const files = Object.fromEntries(tlsFiles(tls).map(([name, path]) => [name, contentOf(name, path)]));
  return { rejectUnauthorized: tls === true || tls.verify, ...files };
}

function contentOf(setting: FileSetting, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new CrossfadeError({
      code: 'CONFIG_UNREADABLE',
      fault: 'fatal',
      message: `the file ${path}, which tls.${setting} names, cannot be read`,
      remedy: 'Put the file there, or correct its path in the configuration; then start again.',
      cause,
    });
  }
}
