// Machines of a fleet as network namespaces. Each has a line to the database and one to the provider, which lie in the
// namespace of this process; either can be cut. All of it is gone with the process.

import { output } from './commands.mjs'

/** Where the database and the provider are, for every machine. */
export const DATABASE = '10.213.255.1'
export const PROVIDER = '10.213.255.2'

const LINES = { database: { address: DATABASE, subnet: 0 }, provider: { address: PROVIDER, subnet: 1 } }

/** Makes the addresses of database and provider. */
export async function openNetwork() {
  await ip('link', 'set', 'dev', 'lo', 'up')
  await output('mount', ['-t', 'tmpfs', 'none', '/run'])
  for (const { address } of Object.values(LINES)) await ip('addr', 'add', `${address}/32`, 'dev', 'lo')
}

/** Makes a machine; `number` is from 1 to 100. */
export async function addMachine(name, number) {
  await ip('netns', 'add', name)
  await ip('-n', name, 'link', 'set', 'dev', 'lo', 'up')
  for (const [line, { address, subnet }] of Object.entries(LINES)) {
    const near = `${name}-${line.slice(0, 2)}`
    const net = `10.213.${number * 2 + subnet}`
    await ip('link', 'add', near, 'type', 'veth', 'peer', 'name', line, 'netns', name)
    await ip('addr', 'add', `${net}.1/30`, 'dev', near)
    await ip('link', 'set', 'dev', near, 'up')
    await ip('-n', name, 'addr', 'add', `${net}.2/30`, 'dev', line)
    await ip('-n', name, 'link', 'set', 'dev', line, 'up')
    await ip('-n', name, 'route', 'add', address, 'via', `${net}.1`)
  }
  const set = (state) => async () => {
    for (const line of Object.keys(LINES)) await ip('link', 'set', 'dev', `${name}-${line.slice(0, 2)}`, state)
  }
  return {
    name,
    number,
    /** Nothing comes or goes from now on, and nobody is told. */
    cut: set('down'),
    mend: set('up'),
    /** What to put before a command that is to run there. */
    exec: ['ip', 'netns', 'exec', name],
  }
}

function ip(...args) {
  return output('ip', args)
}
