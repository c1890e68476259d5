/** What a person says about lag and about the door for monitors. */
import { z } from 'zod';

const unitsMs: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000 };
const durationPattern = /^(\d{1,6}(?:\.\d{1,3})?)(s|m|h)$/;

/** `10s`, `1.5m`, `2h`, in seconds. */
const durationSchema = z
  .string()
  .regex(durationPattern, 'must be a time with its unit, as 10s, 2m or 1h')
  .transform((text) => {
    const [, amount = '0', unit = 's'] = durationPattern.exec(text) ?? [];
    return (Number(amount) * (unitsMs[unit] ?? 1000)) / 1000;
  })
  .refine((seconds) => seconds >= 1, 'must be 1s or more: an idle source shows that it is there every two seconds by default');

/** Ports that `fetch` sends nothing to, whoever listens there. */
const portsOfOthers: ReadonlySet<number> = new Set([
  1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115, 117,
  119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
  989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
]);

/** What stands in an address as user and password can be read as such. */
function isDecodable(text: string): boolean {
  const { username = '', password = '' } = URL.parse(text) ?? {};
  try {
    decodeURIComponent(`${username}${password}`);
    return true;
  } catch {
    return false;
  }
}

const lagSettings = {
  objective: durationSchema
    .describe(
      'How old what a reader of the target sees may be, as `10s`, `2m` or `1h`. Longer than that for 5 s, and a breach is said once, in the log, as a metric and to the webhook; so is the recovery.',
    )
    .optional(),
  alert: z
    .string()
    .refine((text) => /^https?:$/.test(URL.parse(text)?.protocol ?? ''), 'must be an http:// or https:// address')
    .refine(
      (text) => !portsOfOthers.has(Number(URL.parse(text)?.port ?? 0)),
      'must have a port that no request is kept from: this one belongs to another protocol (https://fetch.spec.whatwg.org/#port-blocking)',
    )
    .refine(isDecodable, 'must have a user and a password in which a % is written as %25')
    .describe(
      'The webhook that breach and recovery are sent to, as JSON by POST; a user and password in it as `Authorization: Basic`. It is never logged.',
    )
    .optional(),
};

export const lagSchema = z.strictObject(lagSettings).optional();

/** `HOST:PORT`, an IPv6 address in brackets. */
export function listenOf(text: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s/]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  return host === undefined || port > 65_535 ? undefined : { host, port };
}

const offSchema = z.union([z.literal('off'), z.literal(false)]);
const listenSchema = z
  .string()
  .refine((text) => listenOf(text) !== undefined, 'must be HOST:PORT, as 127.0.0.1:8080')
  .describe(
    'HOST:PORT. Whoever reaches it sees names of tables and servers, so it is this machine only unless another address stands here.',
  );

export const httpSchema = z
  .union([offSchema, z.strictObject({ listen: listenSchema })])
  .describe('Where `/metrics`, `/livez`, `/readyz` and `/status` are: `127.0.0.1:8080` unless said otherwise, `off` for nowhere.')
  .optional();

export type HttpFile = z.infer<typeof httpSchema>;
export type LagFile = z.infer<typeof lagSchema>;

/** `explicit`: somebody counts on this address, so that it must be had. */
export type HttpConfig = { readonly host: string; readonly port: number; readonly explicit: boolean } | 'off';

export function httpOf(file: HttpFile): HttpConfig {
  if (file === undefined) return { host: '127.0.0.1', port: 8080, explicit: false };
  if (file === 'off' || file === false) return 'off';
  const listen = listenOf(file.listen);
  return listen ? { ...listen, explicit: true } : 'off';
}

export interface LagConfig {
  readonly objectiveSeconds?: number;
  readonly alert?: string;
}

/** A service's own words first, setting by setting. */
export function lagOfService(file: LagFile, service: LagFile): LagConfig {
  const objectiveSeconds = service?.objective ?? file?.objective;
  const alert = service?.alert ?? file?.alert;
  return { ...(objectiveSeconds === undefined ? {} : { objectiveSeconds }), ...(alert === undefined ? {} : { alert }) };
}
