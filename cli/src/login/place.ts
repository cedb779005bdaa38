/** Where the command runs, seen from a person's browser; and how that browser gets back here. */
import { existsSync, readFileSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'

/**
 * `headless`: this machine, without a display. `codespaces`: an editor in a browser or on another
 * machine, which forwards ports.
 */
export type Place = 'local' | 'headless' | 'ssh' | 'container' | 'codespaces' | 'wsl'

type Variables = Readonly<Record<string, string | undefined>>

export function placeOf(env: Variables = process.env): Place {
  const set = (name: string): boolean => (env[name] ?? '') !== ''
  if (['CODESPACES', 'GITPOD_WORKSPACE_ID', 'REMOTE_CONTAINERS'].some(set)) return 'codespaces'
  if (['SSH_CONNECTION', 'SSH_TTY'].some(set)) return 'ssh'
  if (process.platform !== 'linux') return 'local'
  if (set('WSL_DISTRO_NAME') || /microsoft/i.test(textOf('/proc/version'))) return 'wsl'
  if (set('DISPLAY') || set('WAYLAND_DISPLAY')) return 'local'
  return isContainer(env) ? 'container' : 'headless'
}

function isContainer(env: Variables): boolean {
  return (
    (env.container ?? '') !== '' ||
    existsSync('/.dockerenv') ||
    existsSync('/run/.containerenv') ||
    /docker|containerd|kubepods|libpod|lxc/.test(textOf('/proc/1/cgroup'))
  )
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}

/**
 * The `ssh` call that forwards a login's callback from a person's own machine to this one. Host and
 * port are those under which this connection came.
 */
export function forward(callback: string, env: Variables = process.env): string {
  const { hostname: here, port } = new URL(callback)
  // `client port server port`, of ssh(1).
  const [, , address = '', sshPort = ''] = (env.SSH_CONNECTION ?? '').trim().split(/\s+/)
  // A zone means something on this machine alone; an IPv4 address may be written as one of IPv6.
  const server = address.replace(/%.*$/, '').replace(/^::ffff:(?=[\d.]+$)/i, '') || hostname()
  const way = sshPort === '' || sshPort === '22' ? '' : `-p ${sshPort} `
  return `ssh -N -L ${port || '80'}:${here}:${port || '80'} ${way}${userInfo().username}@${server}`
}
