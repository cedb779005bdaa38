/**
 * A session bus and a GNOME Keyring of a test's own, without a display: to be started, locked, stopped and killed as a
 * test needs. The bus starts no service by itself, so a daemon that was killed stays away until a test brings it back.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { removeFolder } from './remove-folder.mjs'
import { until } from './until.mjs'

const SERVICE = 'org.freedesktop.secrets'
const ROOT = '/org/freedesktop/secrets'
const PASSWORD = 'test'
/** Of the control socket's operations. */
const UNLOCK = 1

/** Makes the places of a session; nothing runs in it yet. */
export function createSession() {
  const dir = mkdtempSync(join(tmpdir(), 'provider-auth-session-'))
  const place = (name) => {
    mkdirSync(join(dir, name), { mode: 0o700 })
    return join(dir, name)
  }
  const env = {
    PATH: process.env.PATH,
    HOME: dir,
    XDG_DATA_HOME: place('data'),
    XDG_RUNTIME_DIR: place('run'),
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${join(dir, 'bus')}`,
  }
  const running = new Set()
  let bus
  let daemon

  const start = (program, args, { input, env: extra } = {}) => {
    const child = spawn(program, args, { env: { ...env, ...extra }, stdio: ['pipe', 'ignore', 'ignore'] })
    child.stdin.end(input)
    running.add(child)
    child.ended = new Promise((resolve) => child.once('close', resolve))
    child.ended.then(() => running.delete(child))
    return child
  }
  const send = (destination, path, method, args) => {
    const fixed = ['--session', '--print-reply', `--dest=${destination}`, path, method]
    return spawnSync('dbus-send', [...fixed, ...args], { env, encoding: 'utf8' })
  }
  const isThere = () =>
    /boolean true/.test(
      send('org.freedesktop.DBus', '/', 'org.freedesktop.DBus.NameHasOwner', [`string:${SERVICE}`]).stdout,
    )

  const session = {
    /** What a program needs to find this bus. */
    env: { DBUS_SESSION_BUS_ADDRESS: env.DBUS_SESSION_BUS_ADDRESS, XDG_RUNTIME_DIR: env.XDG_RUNTIME_DIR },
    address: join(dir, 'bus'),
    get bus() {
      return bus
    },
    get daemon() {
      return daemon
    },
    async startBus() {
      const config = join(dir, 'bus.conf')
      writeFileSync(
        config,
        `<busconfig><type>session</type><listen>${env.DBUS_SESSION_BUS_ADDRESS}</listen><policy context="default">
        <allow send_destination="*"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>`,
      )
      bus = start('dbus-daemon', [`--config-file=${config}`, '--nofork', '--nopidfile'])
      await until(
        'the bus answers',
        () => send('org.freedesktop.DBus', '/', 'org.freedesktop.DBus.GetId', []).status === 0,
      )
    },
    /** Starts the keyring: unlocked, with another password than its own, or with none (`null`) and another `data` folder. */
    async startDaemon({ password = PASSWORD, data = env.XDG_DATA_HOME } = {}) {
      mkdirSync(data, { recursive: true })
      const unlock = password === null ? [] : ['--unlock']
      daemon = start('gnome-keyring-daemon', ['--foreground', ...unlock, '--components=secrets'], {
        input: password ?? '',
        env: { XDG_DATA_HOME: data },
      })
      await until('the Secret Service is on the bus', isThere)
    },
    async killDaemon() {
      daemon.kill('SIGKILL')
      await daemon.ended
      await until('the Secret Service is gone', () => !isThere())
    },
    /** A data folder in which no keyring was ever made. */
    emptyData: () => mkdtempSync(join(dir, 'data-')),
    lock() {
      session.call(ROOT, 'Service.Lock', `array:objpath:${ROOT}/collection/login`)
    },
    /** Gives the running keyring its password, over the socket that PAM uses at a login to the desktop. */
    async unlock() {
      const socket = createConnection(join(env.XDG_RUNTIME_DIR, 'keyring/control'))
      const word = (value) => Buffer.from(Uint32Array.of(value).buffer).swap32()
      const request = Buffer.concat([word(UNLOCK), word(PASSWORD.length), Buffer.from(PASSWORD)])
      // A null byte comes first, with which some systems send credentials.
      socket.write(Buffer.concat([Buffer.alloc(1), word(request.length + 4), request]))
      const [answer] = await once(socket, 'data')
      socket.destroy()
      if (answer.readUInt32BE(4) !== 0) throw new Error(`the keyring was not unlocked: ${answer.toString('hex')}`)
    },
    /** Calls the Secret Service past the library. */
    call(path, method, ...args) {
      const { status, stdout, stderr } = send(SERVICE, path, `org.freedesktop.Secret.${method}`, args)
      if (status !== 0) throw new Error(stderr)
      return stdout
    },
    /** The entries of provider-auth in the keyring. */
    entries: () => [
      ...session
        .call(ROOT, 'Service.SearchItems', 'dict:string:string:service,provider-auth')
        .matchAll(/object path "([^"]+)"/g),
    ],
    /** Ends all that runs in it and removes its places. */
    async close() {
      for (const child of running) {
        child.kill('SIGCONT')
        child.kill('SIGKILL')
      }
      await Promise.all([...running].map(({ ended }) => ended))
      removeFolder(dir)
    },
  }
  return session
}
