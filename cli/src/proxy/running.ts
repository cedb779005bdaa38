/** What a running proxy tells `proxy env`: a file in the vault's folder that its owner alone can read. */
import { mkdirSync, readFileSync, rmSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { join } from 'node:path'
import { EXIT, fault } from '../faults.js'
import { writePrivateFile } from '../files.js'
import { vaultStatus } from '../library.js'
import { readPrivate } from './token.js'

export interface Running {
  pid: number
  port: number
  token: string
  /** The providers that it was started for; all where this is absent. */
  providers?: string[]
}

const NAME = /^proxy-(\d+)\.json$/

/** Leaves word of a proxy until this process ends. */
export async function announce(running: Running): Promise<void> {
  const { dir } = await vaultStatus()
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const file = join(dir, `proxy-${running.port}.json`)
  await writePrivateFile(file, JSON.stringify(running), { force: true })
  process.once('exit', () => {
    // Not that of a proxy that has begun on this port while requests of this one still ran.
    if (ownerOf(file) === process.pid) rmSync(file, { force: true })
  })
}

/** The proxy that runs for this vault: the only one, or that of the port. */
export async function runningProxy(port: number | undefined): Promise<Running> {
  const { dir } = await vaultStatus()
  const names = (await readdir(dir).catch(() => [])).filter((name) => NAME.test(name))
  const files = names.filter((name) => port === undefined || name === `proxy-${port}.json`)
  const [found, dead]: [Running[], Running[]] = [[], []]
  for (const name of files) {
    const file = join(dir, name)
    const running = parsed(await readPrivate(file))
    if (running === undefined) continue
    if (await runs(running)) found.push(running)
    else {
      dead.push(running)
      await rm(file, { force: true })
    }
  }
  const [one, other] = found
  if (one !== undefined && other === undefined) return one
  if (one !== undefined)
    throw fault({
      code: 'USAGE',
      exit: EXIT.usage,
      message: `several proxies run, on the ports ${found.map((each) => each.port).join(', ')}`,
      next: 'name one with --port',
    })
  const [gone] = dead
  throw fault({
    code: 'PROXY_NOT_RUNNING',
    message: `no proxy runs for this vault${port === undefined ? '' : ` on port ${port}`}`,
    ...(gone !== undefined && {
      why: `the one on port ${gone.port} (process ${gone.pid}) has ended without a word; its token is void`,
    }),
    next: 'provider-auth proxy, in another terminal or as a service',
  })
}

function ownerOf(file: string): number | undefined {
  try {
    return parsed(readFileSync(file, 'utf8'))?.pid
  } catch {
    return undefined
  }
}

function parsed(text: string | undefined): Running | undefined {
  try {
    const value = JSON.parse(text ?? '') as Running
    return typeof value.pid === 'number' && typeof value.port === 'number' && typeof value.token === 'string'
      ? value
      : undefined
  } catch {
    return undefined
  }
}

/** Whether the process is there and the port is open: a number of a process is given again after a start of the machine. */
async function runs({ pid, port }: Running): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const settle = (isOpen: boolean) => {
      socket.destroy()
      resolve(isOpen)
    }
    socket.once('connect', () => settle(true)).once('error', () => settle(false))
  })
}
