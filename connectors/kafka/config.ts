/** What a person may say about Kafka as the log. */
import { z } from 'zod';
import { type Tls, tlsSchema } from '../../src/config-tls.ts';

export interface BrokerPlace {
  readonly host: string;
  readonly port: number;
}

export interface KafkaSettings {
  /** Where to ask first; the cluster names the others itself. */
  readonly brokers: readonly BrokerPlace[];
  readonly tls: Tls;
  readonly sasl?: { readonly mechanism: SaslMechanism; readonly username: string; readonly password: string } | undefined;
  /** In front of every topic, group and transactional id; without it nothing. */
  readonly prefix?: string | undefined;
  /** Copies of each new topic; without it 3, or as many as there are brokers. */
  readonly replication?: number | undefined;
  /** Copies that must have a row before it counts; without it one less than there are, and at least 1. */
  readonly minInsyncReplicas?: number | undefined;
  /** How long rows are kept, in hours. */
  readonly retention: { readonly age: number };
}

const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
type SaslMechanism = (typeof mechanisms)[number];

const place = /^(?:\[(?<address>[0-9A-Fa-f:]+)\]|(?<host>[^\s:,/@[\]]+)):(?<port>\d{1,5})$/;

const brokerSchema = z.string().transform((text, context): BrokerPlace => {
  const { address, host, port } = place.exec(text.trim())?.groups ?? {};
  const number = Number(port);
  if (number >= 1 && number <= 65_535) return { host: address ?? host ?? '', port: number };
  context.addIssue({ code: 'custom', message: 'a broker is HOST:PORT, as in kafka-1:9092' });
  return z.NEVER;
});

const brokerList = z
  .string()
  .transform((text) => text.split(','))
  .pipe(z.array(brokerSchema).min(1));

const hoursByUnit = { h: 1, d: 24 } as const;
const ageHours = z
  .string()
  .regex(/^[1-9]\d{0,5}(?:h|d)$/, 'must be a number of hours or days, like 12h or 7d')
  .transform((text) => Number(text.slice(0, -1)) * hoursByUnit[text.slice(-1) as keyof typeof hoursByUnit]);

const settingsSchema = z
  .strictObject({
    brokers: z
      .union([brokerList, z.array(brokerSchema).min(1)])
      .describe('`host:port` of some brokers, with commas between or as a list; the cluster names the others.'),
    tls: tlsSchema.default(false),
    sasl: z
      .strictObject({
        mechanism: z.enum(mechanisms).default('scram-sha-512'),
        username: z.string().min(1),
        password: z.string().min(1).describe('better as ${ENV} or ${file:/run/secrets/x}'),
      })
      .optional()
      .describe('User and password, where the brokers ask for them; together with `tls`, or they cross the network readable.'),
    prefix: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,100}$/, 'may have letters, digits, dots, dashes and underscores')
      .optional()
      .describe(
        'In front of every topic, group and transactional id, for a part of a shared cluster: `orders-team.`. Another one is another log.',
      ),
    replication: z
      .int()
      .min(1)
      .max(32)
      .optional()
      .describe('Copies of each topic that is created. Default: 3, or as many as there are brokers.'),
    minInsyncReplicas: z
      .int()
      .min(1)
      .max(32)
      .optional()
      .describe('Copies that must have a change before it counts as kept. Default: one less than `replication`, at least 1.'),
    retention: z
      .strictObject({
        age: ageHours
          .prefault('7d')
          .describe('Changes older than this are deleted by the brokers, applied or not: longer than any service may ever stand still.'),
      })
      .prefault({})
      .describe('How much history the topics keep.'),
  })
  .refine(({ replication, minInsyncReplicas }) => (minInsyncReplicas ?? 1) <= (replication ?? 32), {
    path: ['minInsyncReplicas'],
    message: 'cannot be more than "replication": nothing could ever be written',
  });

/** `log: { kafka: "host:9092,host:9092" }`, or the same spelled out. */
export const kafkaSchema = z
  .union([
    z
      .string()
      .transform((brokers): z.input<typeof settingsSchema> => ({ brokers }))
      .pipe(settingsSchema),
    settingsSchema,
  ])
  .describe('`host:port` of some brokers with commas between, or all settings.');
