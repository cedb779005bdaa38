/** The person's editor. */
import { spawn } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fault } from './faults.js'

/** Signals that keys of a terminal send. */
const KEYS = ['SIGINT', 'SIGQUIT'] as const

/** The command of the editor, perhaps with arguments: `$VISUAL`, else `$EDITOR`, else one that is there. */
export function chosenEditor(env: NodeJS.ProcessEnv = process.env): string {
  const named = [env.VISUAL, env.EDITOR].find((editor) => editor !== undefined && editor.trim() !== '')
  const found = named ?? (process.platform === 'win32' ? 'notepad' : ['nano', 'vi'].find((name) => isThere(name, env)))
  if (found === undefined)
    throw fault({ message: 'there is no editor', why: 'neither nano nor vi is installed', next: 'set EDITOR to one' })
  return found
}

function isThere(name: string, { PATH = '' }: NodeJS.ProcessEnv): boolean {
  return PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** Opens a file and waits; resolves to how the editor ended, if not well. */
export async function openEditor(editor: string, file: string): Promise<string | undefined> {
  // The shell splits the arguments of the editor, as git has it.
  const [command, args, shell] =
    process.platform === 'win32'
      ? [`${editor} "${file}"`, [], true]
      : (['/bin/sh', ['-c', `${editor} "$@"`, editor, file], false] as const)
  // What is answered goes to standard output, also where that is no terminal.
  const output = process.stdout.isTTY ? 'inherit' : process.stderr.fd
  const child = spawn(command, args, { shell, stdio: ['inherit', output, 'inherit'] })
  // Ctrl-C and Ctrl-\ in the editor are the editor's.
  const ignore = (): void => {}
  const listeners = KEYS.map((name) => [name, process.listeners(name)] as const)
  for (const name of KEYS) process.removeAllListeners(name).on(name, ignore)
  try {
    return await new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message))
      child.once('close', (code, signal) =>
        resolve(code === 0 ? undefined : signal === null ? `exit code ${code}` : `signal ${signal}`),
      )
    })
  } finally {
    for (const [name, before] of listeners) {
      process.off(name, ignore)
      for (const listener of before) process.on(name, listener)
    }
  }
}
