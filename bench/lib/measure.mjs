// Measures in turns, so that what disturbs the machine disturbs every contender alike.

import { measure } from 'mitata'

/** Short samples of a fast call, many at once: a clock is too coarse for one. */
const SAMPLE = { batch_samples: 64, min_samples: 12, min_cpu_time: 0 }

/**
 * Measures contenders of the shape `{ name, call, after? }` for so many rounds, one after the other in each. `call` is what
 * mitata measures; `after` cleans up outside of that.
 *
 * Returns for each contender the nanoseconds of one call: the p50 of every round.
 */
export async function inTurns(contenders, rounds) {
  const spans = new Map(contenders.map(({ name }) => [name, []]))
  const warmups = 2
  for (let round = -warmups; round < rounds; round += 1) {
    for (const { name, call, after } of contenders) {
      const { p50 } = await measure(call, SAMPLE)
      if (round >= 0) spans.get(name).push(p50)
      await after?.()
    }
  }
  return spans
}

/**
 * Measures slow contenders of the shape `{ name, call }` call by call, each round in another order.
 *
 * Returns for each contender the nanoseconds of every call.
 */
export async function oneByOne(contenders, rounds) {
  const spans = new Map(contenders.map(({ name }) => [name, []]))
  const warmups = Math.ceil(rounds / 5)
  for (let round = -warmups; round < rounds; round += 1) {
    for (let turn = 0; turn < contenders.length; turn += 1) {
      const { name, call } = contenders[(turn + Math.abs(round)) % contenders.length]
      const start = performance.now()
      await call()
      const span = (performance.now() - start) * 1e6
      if (round >= 0) spans.get(name).push(span)
    }
  }
  return spans
}

/** The value below which the given share of the values lies. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(share * (sorted.length - 1))]
}

export const p50 = (values) => quantile(values, 0.5)

/** The p50 of the ratios of two contenders, whose values are of the same rounds. */
export function ratio(values, others) {
  return p50(values.map((value, round) => value / others[round]))
}
