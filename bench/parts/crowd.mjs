// Ten thousand accounts in one vault: what must not grow with their number.

import { p50 } from '../lib/measure.mjs'
import { measureIn } from '../lib/process.mjs'

const places = { provider: 'anthropic', url: 'https://api.anthropic.com/v1/messages' }
const FEW = 10
const MANY = 10_000
const number = (value) => value.toLocaleString('en')

export const crowd = {
  name: 'crowd',
  title: 'Ten thousand accounts',
  what:
    'What a user does with many accounts, and what requests to them cost beside the choice, in Node. "Holds up" is the longest ' +
    'time for which nothing else runs on the event loop. Each figure is of a process of its own.',
  async run({ sandbox, vault, rounds, isQuick }) {
    const seeded = isQuick ? 500 : MANY
    const sizes = [FEW, MANY]
    const measure = (what, count, dir) =>
      measureIn(sandbox, 'crowd', { options: { what, rounds: count, places }, env: { PROVIDER_AUTH_DIR: dir } })
    const counts = { lists: rounds(9, 3), refusal: rounds(31, 7), crowded: rounds(15, 5), exhausted: rounds(101, 21) }
    const figures = new Map(sizes.map((size) => [size, new Map()]))
    const note = (size, told) => {
      for (const [name, value] of Object.entries(told))
        figures.get(size).set(name, [...(figures.get(size).get(name) ?? []), value])
    }
    for (let round = 0; round < rounds(5, 1); round += 1)
      for (const size of sizes) {
        const dir = await vault(size)
        for (const [what, count] of Object.entries(counts)) {
          const { refusal, ...told } = await measure(what, count, dir)
          note(size, { ...told, ...(refusal === undefined ? {} : { [what]: refusal }) })
        }
        const cold = await measureIn(sandbox, 'accounts', {
          options: { places, rounds: 1 },
          env: { PROVIDER_AUTH_DIR: dir },
        })
        note(size, { first: cold.first })
      }
    // Last, and in turns: it changes the vaults.
    for (let round = 0; round < rounds(5, 2); round += 1)
      for (const size of sizes) note(size, await measure('write', rounds(15, 7), await vault(size)))
    const { total } = await measure('seed', seeded, `${sandbox.dir}/seeded`)
    const of = (size, name) => p50(figures.get(size).get(name))
    const row = (id, name) => ({ id, name, isOurs: true, values: sizes.map((size) => of(size, id)) })
    const table = {
      id: 'crowd',
      title: 'in a vault of so many',
      columns: sizes.map((size) => ({ title: number(size), unit: 'ms', chart: `${number(size)} accounts, ms` })),
      isLogarithmic: true,
      rows: [
        row('first', '`import` and first headers'),
        row('list', 'listAccounts holds up'),
        row('pool', 'poolStatus holds up'),
        row('refusal', 'the report of a 429'),
        row('crowded', 'the same, with five cooldowns of each account'),
        row('exhausted', 'getAuthHeaders, where all accounts rest'),
        row('write', 'addApiKey'),
      ],
    }
    const promise = (text, value, most, unit = 'ms') => ({ text, value, most, unit })
    const promises = [
      promise(`${number(seeded)} accounts are added in under a minute`, total, 60e9),
      promise('first headers among 10,000 accounts, with `import`, take at most 60 ms', of(MANY, 'first'), 60e6),
      promise('`listAccounts` of 10,000 holds up the event loop for at most 5 ms', of(MANY, 'list'), 5e6),
      promise('`poolStatus` of 10,000 holds up the event loop for at most 5 ms', of(MANY, 'pool'), 5e6),
      promise('the report of a 429 among 10,000 takes at most 2 ms', of(MANY, 'refusal'), 2e6),
      promise('10,000 accounts that all rest cost a call at most 0.2 ms', of(MANY, 'exhausted'), 0.2e6),
      promise(
        'a write to a vault of 10,000 takes at most twice what it takes in one of ten',
        of(MANY, 'write') / of(FEW, 'write'),
        2,
        'ratio',
      ),
    ]
    return { tables: [table], promises }
  },
}
