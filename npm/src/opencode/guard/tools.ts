/** What the tools of OpenCode, and those of others, are about to open. */
import { expandBraces, isPattern, plain } from './globs.js'
import { expand, type Place } from './protected.js'
import { inspectScript } from './script.js'
import type { Watch } from './watch.js'

/** A call of a tool, to be looked at. */
export interface Call {
  touched(watch: Watch): Promise<Place | undefined>
}

type Args = Readonly<Record<string, unknown>>
type Look = (args: Args, watch: Watch) => Promise<Place | undefined>

/** Tools that open no file that they are given. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...['todowrite', 'todoread', 'question', 'skill', 'invalid', 'websearch', 'plan_exit', 'StructuredOutput'],
  ...['list_mcp_resources', 'list_mcp_resource_templates'],
  ...['auth_status', 'auth_refresh', 'oci_oidc_status', 'oci_oidc_refresh'],
])

/** Arguments that are the text of a file, or words for a person. */
const CONTENT: ReadonlySet<string> = new Set(
  'content contents oldString newString old_string new_string text description title body message'.split(' '),
)

/** Arguments of tools of others that are a script, or code. */
const SCRIPT = /^(command|commands|cmd|script|code|shell)$/i

/** So deep, and so many texts, are the arguments looked into; no tool takes more. */
const DEEPEST = 10
const MOST_TEXTS = 5_000

const LOOKS: Record<string, Look> = {
  bash: inBash,
  grep: (args, watch) => watch.ofPath(text(args.path) ?? watch.where.directory),
  glob: inGlob,
  apply_patch: inPatch,
  task: inTask,
}

/** The call as far as it has to be looked at; `undefined` for one that opens nothing. */
export function callOf(tool: string, args: unknown): Call | undefined {
  if (typeof args !== 'object' || args === null || HARMLESS.has(tool)) return undefined
  const look = Object.hasOwn(LOOKS, tool) ? LOOKS[tool] : undefined
  return { touched: (watch) => (look ?? inTexts)(args as Args, watch) }
}

async function inBash(args: Args, watch: Watch): Promise<Place | undefined> {
  const { directory, home } = watch.where
  const workdir = text(args.workdir)
  const place = await watch.ofPath(workdir)
  const script = text(args.command)
  if (place !== undefined || script === undefined) return place
  const folder = workdir === undefined ? directory : expand(workdir, directory, home)
  return (await inspectScript(script, folder, watch)).place
}

/** What it finds by a pattern is only names; those are taken out of its output. */
async function inGlob(args: Args, watch: Watch): Promise<Place | undefined> {
  const { directory, home } = watch.where
  const start = text(args.path) ?? directory
  const place = await watch.ofPath(start)
  if (place !== undefined) return place
  for (const pattern of expandBraces(text(args.pattern)?.slice(0, 4_096) ?? '')) {
    const names = pattern.split('/')
    const fixed = names.findIndex(isPattern)
    const prefix = names.slice(0, fixed < 0 ? names.length : fixed).join('/')
    const found = await watch.ofPath(plain(prefix), [expand(start, directory, home)])
    if (found !== undefined) return found
  }
  return undefined
}

/**
 * Every file that a patch adds, changes, removes or moves, also where its form is not quite right.
 */
async function inPatch(args: Args, watch: Watch): Promise<Place | undefined> {
  const patch = text(args.patchText) ?? ''
  for (const line of patch.split(/\r\n|\n|\r/)) {
    const header = line.trimStart()
    const isHeader = header.startsWith('*** ') || header.startsWith('--- ') || header.startsWith('+++ ')
    if (!isHeader) continue
    const path = header.startsWith('***') ? header.slice(header.indexOf(':') + 1) : header.slice(4)
    const place = await watch.ofPath(path.trim())
    if (place !== undefined) return place
  }
  return undefined
}

/** OpenCode attaches the files that a task's words name as `@path`, without a tool. */
async function inTask(args: Args, watch: Watch): Promise<Place | undefined> {
  for (const words of [args.prompt, args.command, args.description].map(text)) {
    for (const [, path = ''] of (words ?? '').matchAll(/@([^\s`,@]{1,4096})/g)) {
      // A sentence may end behind it.
      for (const form of new Set([path, path.replace(/[.:;!?)\]}'"]{1,20}$/, '')])) {
        const place = await watch.ofPath(form)
        if (place !== undefined) return place
      }
    }
  }
  return undefined
}

/** Any text among the arguments that may be a path or, of tools of others, a script. */
async function inTexts(args: Args, watch: Watch): Promise<Place | undefined> {
  let left = MOST_TEXTS
  const look = async (value: unknown, key: string, depth: number): Promise<Place | undefined> => {
    if (typeof value === 'string') {
      if (left-- <= 0 || CONTENT.has(key)) return undefined
      const place = await watch.ofPath(value)
      if (place !== undefined || !SCRIPT.test(key)) return place
      return (await inspectScript(value, watch.where.directory, watch)).place
    }
    if (typeof value !== 'object' || value === null || depth >= DEEPEST) return undefined
    for (const [name, inner] of Object.entries(value)) {
      // Of a list, each one is what the list is.
      const place = await look(inner, Array.isArray(value) ? key : name, depth + 1)
      if (place !== undefined) return place
      if (left <= 0) return undefined
    }
    return undefined
  }
  return look(args, '', 0)
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}
