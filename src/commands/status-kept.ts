/** What a service keeps aside because its target refuses it, as a person reads it. */
import type { QueueTotals } from '../core/quarantine-port.ts';

/** Of one table of the source. */
export type KeptSample = Omit<QueueTotals, 'oldestMs'> & { readonly oldestSeconds: number };

export const keptSample = ({ oldestMs, ...totals }: QueueTotals, nowMs: number): KeptSample => ({
  ...totals,
  oldestSeconds: Math.max(0, (nowMs - oldestMs) / 1000),
});

/** `shop.orders: 3 changes in quarantine, 7 wait behind them`, one a table. */
export function keptOf(kept: readonly KeptSample[]): { readonly text: string; readonly seconds: number; readonly isPoison: boolean }[] {
  return kept.map(({ source, held, quarantined, behind, oldestSeconds }) => {
    const parts = [
      ...(quarantined > 0 ? [`${quarantined.toLocaleString('en-US')} in quarantine`] : []),
      ...(held > 0 ? [`${held.toLocaleString('en-US')} held`] : []),
      ...(behind > 0 ? [`${behind.toLocaleString('en-US')} waiting behind`] : []),
    ];
    return { text: `${source}: ${parts.join(', ')}`, seconds: oldestSeconds, isPoison: quarantined > 0 };
  });
}
