/** What an agent in OpenCode 2 gets from us: tools, and the guard over all of its tools. */
import { resolve } from 'node:path'
import { read } from '../../own.js'
import { createGuard, type Guard } from '../guard/guard.js'
import { createTools, type Toolbox } from '../tools.js'
import type { Context, ToolHooks } from './host.js'

/** What OpenCode 1 calls these tools. As far as the guard looks at them, their arguments are the same. */
const NAMES: Record<string, string> = { shell: 'bash', patch: 'apply_patch', subagent: 'task' }

/** Runs a program, whose calls of tools are looked at one by one. */
const OF_TOOLS = 'execute'

type Result = NonNullable<ToolHooks['execute.after']['result']>

/** Adds the tools that say how the accounts stand. */
export async function addTools(context: Context, box: Toolbox): Promise<void> {
  const tools = Object.entries(createTools(box))
  await context.tool.transform((editor) => {
    for (const [name, { description, args, execute }] of tools) {
      editor.add({
        name,
        description,
        input: { type: 'object', properties: args, additionalProperties: false },
        options: { codemode: false },
        execute: async (input) => ({ content: (await execute(input)).output }),
      })
    }
  })
}

/** Guards what the tools of a folder touch, and the variables of its shell. */
export async function guardTools(context: Context, directory: string): Promise<void> {
  const guard = createGuard({ directory })
  await context.tool.hook('execute.before', async ({ tool, input }) => {
    if (tool === OF_TOOLS) return
    const name = nameOf(tool)
    try {
      await guard.before(name, input)
    } catch (fault) {
      throw new Error((fault as Error).message.replace(`: ${name} was`, `: ${tool} was`), { cause: fault })
    }
  })
  await context.tool.hook('execute.after', async (event) => {
    const { tool, input, result } = event
    if (result !== undefined && tool !== OF_TOOLS) event.result = await cleaned(guard, tool, input, result, directory)
  })
  await context.shell.hook('create.before', async ({ env }) => {
    const given = Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined)
    const blanked = Object.fromEntries(given)
    await guard.shellEnv(blanked)
    Object.assign(env, blanked)
  })
}

function nameOf(tool: string): string {
  return (Object.hasOwn(NAMES, tool) && NAMES[tool]) || tool
}

/** A result without what comes from guarded files: as the model reads it, and as a program of it gets it. */
async function cleaned(guard: Guard, tool: string, input: unknown, result: Result, directory: string): Promise<Result> {
  const clean = async (text: string): Promise<string> => {
    const shown = { output: text }
    await guard.after(nameOf(tool), input, shown)
    return shown.output
  }
  const [content, output] = [await eachText(result.content, clean), await eachText(result.output, clean)]
  const kept = JSON.stringify(content)
  const isChanged = kept !== JSON.stringify(result.content)
  // A search hands a program the same finds as a list, with paths relative to the folder.
  const isKept = (find: unknown): boolean => {
    const path = pathOf(find)
    return path === undefined || kept.includes(JSON.stringify(resolve(directory, path)).slice(1, -1))
  }
  const finds = isChanged && Array.isArray(output) ? output.filter(isKept) : output
  return { ...result, ...(content !== undefined && { content }), ...(finds !== undefined && { output: finds }) }
}

/** Changes the texts of a result: itself, parts with a `text`, or its `output`. */
async function eachText(value: unknown, change: (text: string) => Promise<string>): Promise<unknown> {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) {
    return Promise.all(
      value.map(async (part) => (has(part, 'text') ? { ...part, text: await change(part.text) } : part)),
    )
  }
  return has(value, 'output') ? { ...value, output: await change(value.output) } : value
}

/** The path of a find: of `glob` its own, of `grep` its file's. */
function pathOf(find: unknown): string | undefined {
  const entry = typeof find === 'object' ? (read(find as { entry?: unknown } | null, 'entry') ?? find) : find
  return has(entry, 'path') ? entry.path : undefined
}

function has<K extends string>(value: unknown, key: K): value is Record<K, string> {
  return typeof value === 'object' && typeof read(value as Record<K, unknown> | null, key) === 'string'
}
