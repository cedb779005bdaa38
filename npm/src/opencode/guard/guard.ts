/**
 * Keeps an agent's tools from the vault, from key files, and from the files in which OpenCode keeps
 * logins. It sees what a tool is about to do, not what a program does that a tool starts: such a
 * program can read all that the user can.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { inHome } from '../../home-folder.js'
import { cleanGrep, cleanList, cleanPrinted } from './output.js'
import { expand, type Surroundings } from './protected.js'
import { inspectScript } from './script.js'
import { blankSecrets } from './shell-env.js'
import { callOf } from './tools.js'
import { basesOf, createWatch, type Watch } from './watch.js'

export interface Guard {
  /** Rejects with the reason where a tool may not be run. */
  before(tool: string, args: unknown): Promise<void>
  /** Takes what comes from guarded files out of a search's output, in place. */
  after(tool: string, args: unknown, output: unknown): Promise<void>
  /** Blanks what opens the vault among the variables that a shell gets. */
  shellEnv(env: Record<string, string>): Promise<void>
}

/** `directory`: where relative paths of the tools start. The others default to this process's. */
export function createGuard(options: Partial<Surroundings> & Pick<Surroundings, 'directory'>): Guard {
  const where: Surroundings = {
    directory: options.directory,
    worktree: options.worktree ?? options.directory,
    home: options.home ?? inHome(),
    env: options.env ?? process.env,
    platform: options.platform ?? process.platform,
  }
  return {
    async before(tool, args) {
      const call = callOf(tool, args)
      if (call === undefined) return
      const watch = await createWatch(where)
      const place = await call.touched(watch)
      if (place === undefined) return
      const { home } = where
      const path = place.path.startsWith(`${home}/`) ? `~${place.path.slice(home.length)}` : place.path
      throw new Error(
        `provider-auth: ${tool} was not run, since it would touch ${place.what} (${path}). No agent needs it: ` +
          'provider-auth signs the requests, and the tool auth_status says how the accounts stand. A person can ' +
          'open it outside OpenCode, or switch this guard off with "guard": false in the options of provider-auth ' +
          'in their own opencode.json.',
      )
    },

    async after(tool, args, output) {
      if (!isRecord(output) || !Object.hasOwn(CLEANERS, tool)) return
      const clean = CLEANERS[tool]
      const watch = await createWatch(where)
      const bases = tool === 'bash' ? await foldersOf(args, watch) : basesOf(where)
      let asked = 0
      const isGuarded = async (path: string) =>
        asked++ < MOST_NAMES || watch.mayBe(path) ? watch.ofPath(path, bases) : undefined
      const cleaned = async (text: unknown) => (typeof text === 'string' ? await clean?.(text, isGuarded) : undefined)
      output.output = (await cleaned(output.output)) ?? output.output
      if (!isRecord(output.metadata)) return
      // What a screen shows of it meanwhile, and the file with the whole of a long one.
      output.metadata.output = (await cleaned(output.metadata.output)) ?? output.metadata.output
      await cleanFile(output.metadata.outputPath, cleaned)
    },

    shellEnv: (env) => blankSecrets(env, where),
  }
}

/**
 * So many names in an output are looked up whatever they are; most lines of a shell's output are no
 * names at all.
 */
const MOST_NAMES = 300

const CLEANERS: Record<string, typeof cleanGrep> = { grep: cleanGrep, glob: cleanList, bash: cleanPrinted }

async function foldersOf(args: unknown, watch: Watch): Promise<string[]> {
  if (!isRecord(args) || typeof args.command !== 'string') return basesOf(watch.where)
  const { directory, home } = watch.where
  const start = typeof args.workdir === 'string' ? expand(args.workdir, directory, home) : directory
  return (await inspectScript(args.command, start, watch)).folders
}

async function cleanFile(path: unknown, cleaned: (text: unknown) => Promise<string | undefined>): Promise<void> {
  if (typeof path !== 'string') return
  const text = await cleaned(await readFile(path, 'utf8').catch(() => undefined))
  if (text !== undefined) await writeFile(path, text)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
