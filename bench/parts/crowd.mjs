// Ten thousand accounts in one vault: what must not grow with their number.

import { cpSync } from 'node:fs'
import { join } from 'node:path'
import { p50 } from '../lib/measure.mjs'
import { measureIn } from '../lib/process.mjs'
import { ours } from '../peers.mjs'

const places = { provider: 'anthropic', url: 'https://api.anthropic.com/v1/messages' }
const FEW = 10
const number = (value) => value.toLocaleString('en')

export const crowd = {
  name: 'crowd',
  title: 'Ten thousand accounts',
  what:
    'What a user does with many accounts, and what requests to them cost beside the choice, in Node. "Holds up" is the longest ' +
    'time for which nothing else runs on the event loop. Each figure is of a process of its own.',
  async run({ sandbox, vault, seeding, rounds, isQuick }) {
    const many = isQuick ? 1_000 : 10_000
    const sizes = [FEW, many]
    const measure = (what, count, dir) =>
      measureIn(sandbox, 'crowd', { options: { what, rounds: count, places }, env: { PROVIDER_AUTH_DIR: dir } })
    const refusals = rounds(31, 7)
    const counts = {
      lists: rounds(9, 3),
      refusal: refusals,
      rested: refusals,
      crowded: refusals,
      exhausted: rounds(101, 21),
    }
    const figures = new Map(sizes.map((size) => [size, new Map()]))
    const note = (size, name, value) => figures.get(size).set(name, [...(figures.get(size).get(name) ?? []), value])
    for (const size of sizes) {
      await vault(size)
      note(size, 'seed', seeding(size))
    }
    for (let round = 0; round < rounds(9, 1); round += 1)
      for (const size of sizes) {
        const env = { PROVIDER_AUTH_DIR: await vault(size) }
        const { first } = await measureIn(sandbox, 'cold', { options: { id: ours.id, places }, env })
        note(size, 'first', first * 1e6)
      }
    for (let round = 0; round < rounds(5, 1); round += 1)
      for (const [what, count] of Object.entries(counts))
        for (const size of sizes) {
          const { refusal, ...told } = await measure(what, count, await vault(size))
          if (refusal !== undefined) note(size, what, refusal)
          for (const [name, value] of Object.entries(told)) note(size, name, value)
        }
    for (const size of sizes) {
      const file = join(sandbox.work, `bundle-of-${size}`)
      await measureIn(sandbox, 'bundle', { options: { file }, env: { PROVIDER_AUTH_DIR: await vault(size) } })
      for (let round = 0; round < rounds(3, 1); round += 1) {
        const env = { PROVIDER_AUTH_DIR: join(sandbox.dir, `brought-${size}-${round}`) }
        const { bring } = await measureIn(sandbox, 'bundle', { options: { file, isImport: true }, env })
        note(size, 'bring', bring)
      }
    }
    // In turns, and on copies: it changes the vaults.
    const copies = new Map()
    for (const size of sizes) {
      copies.set(size, join(sandbox.dir, `written-${size}`))
      cpSync(await vault(size), copies.get(size), { recursive: true })
    }
    for (let round = 0; round < rounds(5, 2); round += 1)
      for (const [size, dir] of copies) note(size, 'write', (await measure('write', rounds(15, 7), dir)).write)
    const of = (size, name) => p50(figures.get(size).get(name))
    const row = (id, name) => ({ id, name, isOurs: true, values: sizes.map((size) => of(size, id)) })
    const table = {
      id: 'crowd',
      title: 'in a vault of so many',
      columns: sizes.map((size) => ({ title: number(size), unit: 'ms', chart: `${number(size)} accounts, ms` })),
      isLogarithmic: true,
      rows: [
        row('seed', 'addApiKey, of all'),
        row('bring', 'importVault, of all'),
        row('first', '`import` and first headers'),
        row('list', 'listAccounts holds up'),
        row('pool', 'poolStatus holds up'),
        row('refusal', 'the report of a 429'),
        row('rested', 'the same, where nearly all rest'),
        row('crowded', 'the same, with five cooldowns of each account'),
        row('exhausted', 'getAuthHeaders, where all accounts rest'),
        row('write', 'addApiKey'),
      ],
    }
    const goal = (text, value, most, unit = 'ms') => ({ text, value, most, unit })
    const among = number(many)
    const promises = [
      goal(`${among} accounts are added in under a minute`, of(many, 'seed'), 60e9),
      goal(`${among} accounts are imported in under a minute`, of(many, 'bring'), 60e9),
      goal(`first headers among ${among} accounts, with \`import\`, take at most 60 ms`, of(many, 'first'), 60e6),
      goal(`\`listAccounts\` of ${among} holds up the event loop for at most 5 ms`, of(many, 'list'), 5e6),
      goal(`\`poolStatus\` of ${among} holds up the event loop for at most 5 ms`, of(many, 'pool'), 5e6),
      goal(`the report of a 429 among ${among} takes at most 2 ms`, of(many, 'refusal'), 2e6),
      goal('the same, where nearly all rest', of(many, 'rested'), 2e6),
      goal('the same, with five cooldowns of each account', of(many, 'crowded'), 2e6),
      goal(`${among} accounts that all rest cost a call at most 0.2 ms`, of(many, 'exhausted'), 0.2e6),
      goal(
        `a write to a vault of ${among} takes at most twice what it takes in one of ten`,
        of(many, 'write') / of(FEW, 'write'),
        2,
        'ratio',
      ),
    ]
    return { tables: [table], promises }
  },
}
