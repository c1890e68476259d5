/** The parent of kafka-child.ts: starts, kills and freezes children, and is the target that their readers write to. */
import { type ChildProcess, fork } from 'node:child_process';
import { onTestFinished } from 'vitest';
import type { PartitionId } from '../../src/core/log-port.ts';
import type { ChildNews, KafkaChildOrder, ParentAnswer } from './kafka-child.ts';
import { until } from './log-rows.ts';

export class KafkaChild {
  readonly news: ChildNews[] = [];
  readonly process: ChildProcess;
  readonly ended: Promise<void>;

  constructor(order: KafkaChildOrder, heard: (news: ChildNews, child: KafkaChild) => void = () => {}) {
    this.process = fork(new URL('kafka-child.ts', import.meta.url), [JSON.stringify(order)], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.process.on('message', (news: ChildNews) => {
      this.news.push(news);
      heard(news, this);
    });
    this.ended = new Promise((resolve) => this.process.once('close', () => resolve()));
    onTestFinished(() => this.kill());
  }

  answer(answer: ParentAnswer): void {
    if (this.process.connected) this.process.send(answer, () => undefined);
  }

  last<Kind extends ChildNews['kind']>(kind: Kind): Extract<ChildNews, { kind: Kind }> | undefined {
    return this.news.findLast((news): news is Extract<ChildNews, { kind: Kind }> => news.kind === kind);
  }

  async said(kind: ChildNews['kind'], deadlineMs?: number): Promise<void> {
    await until(`the child says "${kind}"`, () => this.last(kind) !== undefined, deadlineMs);
  }

  freeze(): void {
    this.process.kill('SIGSTOP');
  }
  thaw(): void {
    this.process.kill('SIGCONT');
  }
  async kill(): Promise<void> {
    this.process.kill('SIGKILL');
    await this.ended;
  }
  /** A clean goodbye. */
  async leave(): Promise<void> {
    this.answer({ kind: 'dispose' });
    await this.ended;
  }
}

/** Progress by compare-and-set, as a sink keeps it: who claimed last owns, and only the owner moves it. */
export class FakeTarget {
  readonly #owners = new Map<PartitionId, KafkaChild>();
  readonly #next = new Map<PartitionId, number>();
  readonly written = new Map<PartitionId, number[]>();
  /** Deliveries by one who no longer owned the partition; a sink refuses them. */
  readonly fenced: { readonly child: KafkaChild; readonly partition: PartitionId }[] = [];
  /** Claims by child and partition, to see how much was moved. */
  moves = 0;

  readonly hear = (news: ChildNews, child: KafkaChild): void => {
    if (news.kind === 'claim') {
      for (const partition of news.partitions) {
        if (this.#owners.get(partition) !== child) this.moves += 1;
        this.#owners.set(partition, child);
      }
      child.answer({ kind: 'places', offsets: news.partitions.map((partition) => [partition, this.#next.get(partition) ?? 0]) });
    } else if (news.kind === 'delivered') {
      if (this.#owners.get(news.partition) !== child) {
        this.fenced.push({ child, partition: news.partition });
        return;
      }
      const written = this.written.get(news.partition) ?? [];
      written.push(...news.numbers);
      this.written.set(news.partition, written);
      this.#next.set(news.partition, news.nextOffset);
    }
  };

  sharesOf(children: readonly KafkaChild[]): number[] {
    return children.map((child) => [...this.#owners.values()].filter((owner) => owner === child).length);
  }
}
