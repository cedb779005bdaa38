/** Why no addon loads, and what helps. */
import { readdirSync, readFileSync, realpathSync } from 'node:fs'
import { cpus } from 'node:os'
import { dirname, join } from 'node:path'
import { inspect, libcNeeded } from './binary.js'
import { isClone } from './home.js'
import { libcOf, STORE, SUPPORTED } from './platform.js'
import { installing, installingStore, type Kind } from './remedy.js'
import { libcName } from './system.js'
import { type Search, SHARED_VARIABLE, type Tried, VARIABLE } from './tried.js'

export interface Cause {
  readonly why: string
  readonly remedies: readonly string[]
}

const LINE_OF_BUNDLERS =
  'mark provider-auth as external (esbuild and bun: --external provider-auth; Rollup, Vite and webpack: ' +
  'external or externals; Next.js: serverExternalPackages)'

export function causeOf(search: Search): Cause {
  const { named, tried } = search
  // Another package's is passed over, where it may be meant for that.
  const failed = tried.find(({ why }) => why !== 'absent' && (why !== 'foreign' || named !== undefined))
  const cause = (failed && ofFile(failed, search)) ?? ofAbsence(search)
  if (named === undefined) return cause
  const { variable, file } = named
  const shared = variable === SHARED_VARIABLE ? `; where another package needs it, name ours by ${VARIABLE}` : ''
  const remedies = [
    `unset ${variable}, or have it name the whole path of an addon of this version and platform${shared}`,
  ]
  const why = failed === undefined ? `there is no file ${file}` : cause.why
  return { why: `${variable} is set, so that nothing else is tried; ${why}`, remedies }
}

/** Nothing was found. */
function ofAbsence({ home, family, names }: Search): Cause {
  const own = `${process.platform}-${process.arch}`
  if (!SUPPORTED.some((name) => name === own || name.startsWith(`${own}-`)))
    return {
      why: `There is no addon for ${own}. Those that there are: ${SUPPORTED.join(', ')}.`,
      remedies: ['build it there, in a clone of the repository, with Rust: npm ci && npm run build'],
    }
  if (home.isBundle)
    return {
      why: 'A bundler has taken the library into another file, and a native addon cannot be part of a bundle.',
      remedies: [
        LINE_OF_BUNDLERS,
        `lay the addon beside the program: provider-auth.${names[0]}.node, of the package provider-auth-${names[0]}`,
      ],
    }
  const folder = home.folder as string
  if (isClone(folder))
    return { why: 'This is a clone of the repository, and its addon is not built.', remedies: ['npm run build:debug'] }
  const others = othersIn(folder, family)
  const wanted = names.map((name) => `${family}-${name}`).join(' or ')
  if (others.length > 0) return { ...ofOtherPlatform(others, wanted), remedies: installing('anew', folder) }
  return {
    why:
      `The package ${wanted} is not installed. It is an optional dependency: --omit=optional, --no-optional and ` +
      '--ignore-optional leave it out; so does npm with a package-lock.json that another system has written ' +
      '(https://github.com/npm/cli/issues/4828).',
    remedies: installing('optional', folder),
  }
}

/** The packages of other platforms that are installed. */
function othersIn(folder: string, family: string): string[] {
  const found: string[] = []
  for (let above = folder; above !== dirname(above); above = dirname(above)) {
    try {
      found.push(...readdirSync(join(above, 'node_modules')).filter((name) => isPlatform(name, family)))
      // The packages beside this one, where its folder is called node_modules itself.
    } catch {}
  }
  return [...new Set(found)]
}

function isPlatform(name: string, family: string): boolean {
  return SUPPORTED.some((known) => name === `${family}-${known}`)
}

function ofOtherPlatform(others: readonly string[], wanted: string): Pick<Cause, 'why'> {
  const there = others.join(' and ')
  const own = `${process.platform}-${process.arch}`
  if (others.every((name) => name.startsWith(`provider-auth-${own}-`)))
    return {
      why: `Installed is ${there}, for another C library than this system's (${libcName()}): ${wanted} is missing.`,
    }
  const rosetta = isRosetta() ? ' This Node.js is for Intel processors, on an Apple one: install it for arm64.' : ''
  return {
    why: `Installed is ${there}, and here it takes ${wanted}: node_modules comes from another machine, or was made by another Node.js.${rosetta}`,
  }
}

function isRosetta(): boolean {
  return process.platform === 'darwin' && process.arch === 'x64' && (cpus()[0]?.model.includes('Apple') ?? false)
}

/** A file was found, and is not the addon that is needed or does not load. */
function ofFile(tried: Tried, { home, family }: Search): Cause | undefined {
  const { why, file = '', error } = tried
  const again = (text: string, kind: Kind = 'anew'): Cause => ({
    why: text,
    remedies: remediesAt(file, kind, home.folder),
  })
  if (why === 'relative') return { why: `${file} is a relative path; a whole one is needed.`, remedies: [] }
  if (why === 'name') return { why: `${file} does not end with .node, as the name of an addon does.`, remedies: [] }
  if (why === 'cut')
    return again(`${file} is incomplete: its installation was interrupted (${tried.bytes?.join(' of ')} bytes).`)
  if (why === 'foreign') return { why: `${file} is the addon of another package.`, remedies: [] }
  if (why === 'version') {
    const cause = again(
      `${file} is version ${tried.version}, and this package is version ${home.version}: both have to be the same.`,
    )
    return family === STORE ? { ...cause, remedies: installingStore(home.version as string, home.folder) } : cause
  }
  return (
    ofRuntime(error) ??
    ofBinary(file, again) ??
    ofSystem(file, error) ?? {
      why: `${file} is there, and the system does not load it: ${said(error)}`,
      remedies: remediesAt(file, 'anew', home.folder),
    }
  )
}

/** How a file comes to be another one: it is built, or installed. */
function remediesAt(file: string, kind: Kind, folder: string | undefined): string[] {
  return isClone(dirname(file)) ? ['npm run build:debug'] : installing(kind, folder)
}

function said(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return message.split('\n')[0] as string
}

/** The runtime forbids addons. */
function ofRuntime(error: unknown): Cause | undefined {
  const { code, name } = error as { code?: string; name?: string }
  if (code === 'ERR_DLOPEN_DISABLED') {
    const { permission } = process as { permission?: object }
    return permission === undefined
      ? {
          why: 'Node.js runs with --no-addons, which forbids every native addon.',
          remedies: ['run it without --no-addons; it may stand in NODE_OPTIONS, or in execArgv of a worker'],
        }
      : {
          why: 'Node.js runs with its permission model (--permission), which forbids native addons unless they are allowed.',
          remedies: ['add --allow-addons; the addon itself is not bound by the permissions of files'],
        }
  }
  const message = said(error)
  if (code === 'ERR_ACCESS_DENIED')
    return {
      why: `Node.js runs with its permission model (--permission), which forbids to read the package: ${message}`,
      remedies: ['add --allow-addons, and --allow-fs-read with the folder of the package'],
    }
  if (name === 'NotCapable' || /--allow-ffi/.test(message)) {
    const flag = /--allow-\w+/.exec(message)?.[0] ?? '--allow-ffi'
    return {
      why: `Deno does not let the addon load: ${message}`,
      remedies: [`run it with ${flag}${flag === '--allow-ffi' ? '' : ', and with --allow-ffi'}`],
    }
  }
  return undefined
}

/** The file is for another system, or is not whole. */
function ofBinary(file: string, again: (why: string) => Cause): Cause | undefined {
  const binary = inspect(file)
  if (binary === undefined) return undefined
  const { platform, arch, bytes, isCut } = binary
  if (isCut) return again(`${file} is incomplete: its installation was interrupted (${bytes} bytes are there).`)
  if (platform === undefined) return again(`${file} is not a native addon.`)
  const own = `${process.platform}-${process.arch}`
  const its = `${platform}-${arch ?? 'another processor'}`
  if (its === own) return undefined
  const rosetta = isRosetta() ? '; this Node.js is for Intel processors, on an Apple one: install it for arm64' : ''
  return again(`${file} is for ${its}, and this process is ${own}: node_modules comes from another machine${rosetta}.`)
}

/** The system refuses a file that is for its kind. */
function ofSystem(file: string, error: unknown): Cause | undefined {
  const message = said(error)
  const { code } = error as { code?: string }
  const needed = /version [`'](GLIBC_[\d.]+)' not found/.exec(message)?.[1]
  if (needed !== undefined)
    return {
      why: `The addon needs ${needed.replace('_', ' ').toLowerCase()} or later, and this system has ${libcName()}.`,
      remedies: [
        'use a newer release of the system; or build the addon there, in a clone, with Rust: npm ci && npm run build',
      ],
    }
  const libc = wrongLibc(file)
  if (libc !== undefined) return libc
  if (code === 'EACCES' || code === 'EPERM' || /cannot open shared object file: Permission denied/.test(message))
    return {
      why: `${file} may not be read by this user: ${message}`,
      remedies: [`chmod -R a+rX ${dirname(file)}, by the user whose file it is`],
    }
  if (/failed to map segment|Operation not permitted|Permission denied/i.test(message))
    return notExecutable(file, message)
  const library = /^(?:Error loading shared library )?([\w.+-]+\.so[\w.]*): /.exec(message)?.[1]
  if (library !== undefined)
    return {
      why: `The addon needs ${library}, which this system does not have: ${message}`,
      remedies: [`install ${library}`],
    }
  if (process.platform === 'win32' && /specified module could not be found/i.test(message))
    return {
      why: 'A library that the addon needs is missing: most likely the runtime of Visual C++.',
      remedies: ['install the "Microsoft Visual C++ Redistributable" for this processor'],
    }
  return undefined
}

/** The addon is for the other C library. What the system says of that depends on how much of the other one it has, as by gcompat. */
function wrongLibc(file: string): Cause | undefined {
  const [own, its] = [libcOf(), libcNeeded(file)]
  if (own === undefined || its === undefined || its === own) return undefined
  const names = { gnu: 'glibc', musl: 'musl' }
  return {
    why: `${file} is for ${names[its]}, and this system has ${libcName()}: node_modules comes from another system.`,
    remedies: installing('anew', dirname(dirname(file))),
  }
}

function notExecutable(file: string, message: string): Cause {
  const mount = mountOf(file)
  if (mount === undefined)
    return {
      why: `The system does not let ${file} run as code, as SELinux, AppArmor and such do: ${message}`,
      remedies: ['allow it there; the log of the system names the rule'],
    }
  return {
    why: `${file} lies on ${mount}, which is mounted with noexec: no code there may run.`,
    remedies: [
      `install where code may run; or: mount -o remount,exec ${mount}`,
      `copy the file elsewhere, and set ${VARIABLE} to where it is`,
    ],
  }
}

/** Returns the mount that a file lies on, if it is one that runs no code. */
function mountOf(file: string): string | undefined {
  try {
    const path = realpathSync(file)
    const mounts = readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .map(([, folder = '', , options = '']) => ({ folder: unescaped(folder), options: options.split(',') }))
      .filter(({ folder }) => folder === '/' || path === folder || path.startsWith(`${folder}/`))
    // The one that was mounted last covers those before.
    const its = mounts.reduce((best, one) => (one.folder.length >= best.folder.length ? one : best))
    return its.options.includes('noexec') ? its.folder : undefined
  } catch {
    return undefined
  }
}

function unescaped(folder: string): string {
  return folder.replace(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
}
