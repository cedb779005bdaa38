// Many accounts in one vault, and many processes on one vault.

import { p50 } from '../lib/measure.mjs'
import { figuresOf, measureIn, startIn } from '../lib/process.mjs'

const SIZES = [1, 10, 100, 1_000, 10_000]
const PROCESSES = [1, 2, 4, 8, 16]
const places = { provider: 'anthropic', url: 'https://api.anthropic.com/v1/messages' }
const number = (value) => value.toLocaleString('en')

export const accounts = {
  name: 'accounts',
  title: 'Accounts',
  what:
    'First the choice alone, in Rust: the pure policy, in pools with quotas and cooldowns. Then whole calls of the library in ' +
    'Node.',
  needs: ['choosing'],
  async run({ sandbox, vault, rounds, isQuick, choosing }) {
    const vaults = isQuick ? SIZES.slice(0, -1) : SIZES
    const sizes = [...new Set(choosing.map((row) => row.accounts))]
    const choices = {
      id: 'choosing',
      title: 'choosing alone, p50',
      columns: sizes.map((size) => ({ title: number(size), unit: 'ns', chart: `among ${number(size)}, ns` })),
      isLogarithmic: true,
      rows: [...new Set(choosing.map(({ name }) => name))].map((name) => ({
        name,
        isOurs: true,
        values: sizes.map((size) => choosing.find((row) => row.name === name && row.accounts === size).ns),
      })),
    }
    const slowest = (size) => Math.max(...choosing.filter((row) => row.accounts === size).map(({ ns }) => ns))
    const results = new Map(vaults.map((size) => [size, []]))
    for (let round = 0; round < rounds(3, 1); round += 1)
      for (const size of vaults) {
        const env = { PROVIDER_AUTH_DIR: await vault(size) }
        results.get(size).push(await measureIn(sandbox, 'accounts', { options: { places, rounds: rounds(3, 1) }, env }))
      }
    const row = (field, name) => ({
      id: field,
      name,
      isOurs: true,
      values: vaults.map((size) => p50(results.get(size).map((one) => one[field]))),
    })
    const calls = {
      id: 'accounts',
      title: 'calls of the library, p50, by number of accounts',
      columns: vaults.map((size) => ({ title: number(size), unit: 'us', chart: `${number(size)} accounts, µs` })),
      isLogarithmic: true,
      rows: [
        row('bound', 'getAuthHeaders, of a known session'),
        row('new', 'getAuthHeaders, of a new session'),
        row('list', 'listAccounts'),
        row('first', '`import` and first headers'),
      ],
    }
    const promises = [
      {
        text: 'choosing among 10,000 takes under 5 µs, whatever the strategy',
        value: slowest(10_000),
        most: 5_000,
        unit: 'ns',
      },
      // From 1,000 to 100,000 the logarithm grows by 5/3.
      {
        text: 'choosing grows no faster than log n from 1,000 to 100,000',
        value: slowest(100_000) / slowest(1_000),
        most: 5 / 3,
        unit: 'ratio',
      },
    ]
    return { tables: [choices, calls], promises }
  },
}

export const processes = {
  name: 'processes',
  title: 'Processes',
  what:
    'So many processes of Node on one vault with 10 accounts: each asks for headers and reports an answer with quota headers, ' +
    'without a pause. All calls together, and the share of calls that were not answered at once, because something that ' +
    'another process had written was to be read first.',
  async run({ sandbox, vault, rounds, isQuick }) {
    const env = { PROVIDER_AUTH_DIR: await vault(10) }
    const results = new Map(PROCESSES.map((size) => [size, []]))
    for (let round = 0; round < rounds(3, 1); round += 1)
      for (const size of PROCESSES) {
        const options = { places, milliseconds: isQuick ? 200 : 1_500 }
        const start = () => startIn(sandbox, 'calls', { options, env, input: null })
        const running = Array.from({ length: size }, start)
        await Promise.all(running.map(({ line }) => line(/^ready$/)))
        for (const { child } of running) child.stdin.end()
        const told = (await Promise.all(running.map(({ ended }) => ended))).map((one) => figuresOf(one, 'calls'))
        const sum = (field) => told.reduce((total, one) => total + one[field], 0)
        results
          .get(size)
          .push({ rate: (sum('calls') * 1_000) / options.milliseconds, slow: sum('slow') / sum('calls') })
      }
    const single = p50(results.get(1).map(({ rate }) => rate))
    const rows = PROCESSES.map((size) => {
      const rate = p50(results.get(size).map((one) => one.rate))
      const slow = p50(results.get(size).map((one) => one.slow))
      return {
        id: size,
        name: `${size} process${size === 1 ? '' : 'es'}`,
        isOurs: true,
        values: [rate, rate / single, slow],
      }
    })
    const columns = [
      { title: 'calls per second', unit: 'count' },
      { title: 'ratio', unit: 'ratio', chart: 'calls per second, of all processes, to those of one' },
      { title: 'not at once', unit: 'share' },
    ]
    return { tables: [{ id: 'processes', title: 'all processes together', columns, rows }], promises: [] }
  },
}
