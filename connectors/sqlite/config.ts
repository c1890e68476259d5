/** What a person may say about the embedded log. */
import { z } from 'zod';

const hoursByUnit = { h: 1, d: 24 } as const;
const bytesByUnit = { MB: 1024 ** 2, GB: 1024 ** 3, TB: 1024 ** 4 } as const;

const ageHours = z
  .string()
  .regex(/^[1-9]\d{0,5}(?:h|d)$/, 'must be a number of hours or days, like 12h or 7d')
  .transform((text) => Number(text.slice(0, -1)) * hoursByUnit[text.slice(-1) as keyof typeof hoursByUnit]);

const sizeBytes = z
  .string()
  .regex(/^[1-9]\d{0,5}(?:MB|GB|TB)$/, 'must be a size like 500MB or 20GB')
  .transform((text) => Number(text.slice(0, -2)) * bytesByUnit[text.slice(-2) as keyof typeof bytesByUnit]);

/** `log: { embedded: … }`; `log: embedded` is all defaults. */
export const embeddedSchema = z.strictObject({
  path: z
    .string()
    .min(1)
    .optional()
    .describe('The file of the log, on a disk of this machine. Default: <pipeline>.crossfade.db beside the configuration file.'),
  synchronous: z
    .enum(['full', 'normal'])
    .default('full')
    .describe(
      'full: what is acknowledged survives a power cut. normal: a power cut may take the last seconds, a crash of the process nothing.',
    ),
  retention: z
    .strictObject({
      age: ageHours.prefault('7d').describe('Applied changes older than this are deleted.'),
      size: sizeBytes.prefault('20GB').describe('Beyond this size the oldest applied changes are deleted, whatever their age.'),
    })
    .prefault({})
    .describe('How much history the log keeps. What a service has not applied yet is never deleted.'),
});

type Embedded = z.output<typeof embeddedSchema>;

/** With the path resolved by the caller, against the configuration file's directory. */
export interface SqliteSettings {
  readonly path: string;
  readonly synchronous: Embedded['synchronous'];
  /** Hours and bytes. */
  readonly retention: { readonly age: number; readonly size: number };
}
