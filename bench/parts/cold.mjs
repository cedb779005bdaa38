// A fresh process: until its first headers, and what it weighs.

import { p50 } from '../lib/measure.mjs'
import { measureIn } from '../lib/process.mjs'
import { ours, peers } from '../peers.mjs'

const SIZES = [10, 1_000]

export const cold = {
  name: 'cold',
  title: 'From import to the first headers',
  what:
    'A fresh process of Node each time. The clock is in the process: it starts before the `import` and ends when the first ' +
    'headers are there; `import` alone is the first part of that. The last column is the whole process beside one that ' +
    'does nothing, from its start to its end as its parent sees them. The vault is on disk and its key in the environment; ' +
    'the peers with a file or a keychain have their token there, the others are handed it.',
  async run(context) {
    const { rounds, version } = context
    const { contenders, results, keyringNote } = await fresh(context, rounds(25, 2))
    const nothing = results.get('nothing')
    const rows = contenders.map(({ id, key, name, isOurs }) => {
      const all = results.get(key)
      const whole = p50(all.map((one, round) => one.whole - nothing[round].whole))
      const inside =
        key === 'nothing' ? [undefined, undefined] : [all.map((one) => one.imported), all.map((one) => one.first)]
      const [imported, first] = inside.map((spans) => spans && p50(spans) * 1e6)
      const peer = peers.find((one) => one.id === id)
      return { id: key, name: `${name}${version(peer)}`, isOurs, values: [imported, first, whole * 1e6] }
    })
    const table = {
      id: 'cold',
      title: 'a fresh process, p50',
      columns: [
        { title: '`import`', unit: 'ms' },
        { title: '`import` and first headers', unit: 'ms', chart: 'import and first headers, ms' },
        { title: 'process, over an empty one', unit: 'ms' },
      ],
      rows,
    }
    const value = (key, column) => rows.find(({ id }) => id === key).values[column]
    const promises = [
      { text: '`import` and first headers of 10 accounts take at most 12 ms', value: value('ours-10', 1), most: 12e6 },
      {
        text: '`import` and first headers of 1,000 accounts take at most 60 ms',
        value: value('ours-1000', 1),
        most: 60e6,
      },
    ]
    return { tables: [table], promises: promises.map((one) => ({ ...one, unit: 'ms' })), notes: keyringNote }
  },
}

export const memory = {
  name: 'memory',
  title: 'Memory and threads',
  what:
    'A fresh process of Node each time: what its resident memory grows by with the `import`, and with the first headers, and ' +
    'how many threads it has more than a process that does nothing (Linux).',
  async run(context) {
    const { rounds, version } = context
    const { contenders, results, keyringNote } = await fresh(context, rounds(7, 1))
    const [empty] = results.get('nothing')
    const rows = contenders.map(({ id, key, name, isOurs }) => {
      const grown = (stage) => p50(results.get(key).map(({ weights }) => weights[stage].rss - weights[0].rss))
      const threads = (stage) =>
        p50(results.get(key).map(({ weights }) => weights[stage].threads - empty.weights[0].threads))
      const isHere = empty.weights[0].threads !== undefined
      const values = key === 'nothing' ? [undefined, undefined] : [1, 2].map(grown)
      const counted = key === 'nothing' || !isHere ? [undefined, undefined] : [1, 2].map(threads)
      const name_ = `${name}${version(peers.find((one) => one.id === id))}`
      return { id: key, name: name_, isOurs, values: [values[0], counted[0], values[1], counted[1]] }
    })
    const table = {
      id: 'memory',
      title: 'over an empty process, p50',
      columns: [
        { title: 'after `import`', unit: 'MB', chart: 'after import, MB' },
        { title: 'threads', unit: 'count' },
        { title: 'after first headers', unit: 'MB', chart: 'after the first headers, MB' },
        { title: 'threads', unit: 'count' },
      ],
      rows: rows.filter(({ id }) => id !== 'nothing'),
    }
    const [loaded, threads] = rows.find(({ id }) => id === 'ours-10').values
    const promises = [{ text: '`import` adds at most 6 MB', value: loaded, most: 6e6, unit: 'MB' }]
    if (threads !== undefined)
      promises.push({ text: '`import` starts no thread', value: threads, most: 0, unit: 'count' })
    return { tables: [table], promises, notes: keyringNote }
  },
}

/** Runs each contender in fresh processes, in turns: what each told, and how long the whole process took. */
async function fresh({ sandbox, vault, tokenServer, keyring }, rounds) {
  const { origin: tokens } = await tokenServer()
  const session = await keyring()
  const provider = { provider: 'anthropic', url: 'https://api.anthropic.com/v1/messages' }
  const places = { folder: sandbox.work, tokens, ...provider }
  const contenders = [
    { key: 'nothing', name: 'an empty process' },
    ...SIZES.map((size) => ({
      key: `ours-${size}`,
      id: ours.id,
      name: `provider-auth, ${size.toLocaleString('en')} accounts`,
      isOurs: true,
      vault: size,
    })),
    // What a login by device code keeps in memory is gone with its process.
    ...peers
      .filter(({ id, needsKeyring }) => id !== 'octokit-device' && id !== 'msal' && (!needsKeyring || session))
      .map(({ id, name }) => ({ key: id, id, name })),
  ]
  const results = new Map(contenders.map(({ key }) => [key, []]))
  // The first of each fills the caches of the disk, and leaves the files of the peers.
  for (let round = -1; round < rounds; round += 1)
    for (const { key, id, vault: size } of contenders) {
      const env = { ...session?.env, ...(size && { PROVIDER_AUTH_DIR: await vault(size) }) }
      const startedAt = performance.now()
      const told = await measureIn(sandbox, 'cold', { options: { id, places, fill: round < 0 }, env })
      if (round >= 0) results.get(key).push({ ...told, whole: performance.now() - startedAt })
    }
  const keyringNote = session ? [] : ['`@napi-rs/keyring` was skipped: there is no Secret Service to start here.']
  return { contenders, results, keyringNote }
}
