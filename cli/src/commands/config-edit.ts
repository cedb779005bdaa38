/** `config edit`: an editor on a private copy of the user's file, which is checked before it takes the file's place. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { ConfigFile } from '../../../index.js'
import { visible } from '../../../npm/src/trust.js'
import { problemLines } from '../config.js'
import { chosenEditor, openEditor } from '../editor.js'
import { fault, interrupted } from '../faults.js'
import { inspectConfig } from '../library.js'
import { HOME_VARIABLE } from '../mending.js'
import type { Output } from '../output.js'
import { askChoice, mustAsk } from '../prompts.js'
import { replaceFile, targetOf } from '../replace.js'
import type { Call } from '../run.js'
import { schemaFile } from '../schema-file.js'
import { counted } from '../sentences.js'

export async function run({ out }: Call): Promise<void> {
  const { files } = await inspectConfig()
  const named = files.find(({ kind }) => kind === 'user')?.file
  if (named === undefined)
    throw fault({
      message: 'there is no place for your configuration file',
      next: `set ${HOME_VARIABLE} to your home folder, or PROVIDER_AUTH_CONFIG to a file`,
    })
  mustAsk(`edit ${named} yourself, and then run: provider-auth config check`)
  const file = targetOf(named)
  const before = textOf(file)
  const draft = createDraft(basename(named), before ?? starter())
  const editor = chosenEditor()
  for (;;) {
    const ended = await draft.during(() => openEditor(editor, draft.file))
    if (ended !== undefined)
      throw fault({
        message: `the editor ended with ${ended}, so ${named} was left as it is`,
        why: `the editor is: ${editor}`,
        next: 'set EDITOR to another editor, or try again',
      })
    const text = textOf(draft.file)
    if (text === undefined) throw fault({ message: `the editor removed the copy, so ${named} was left as it is` })
    const found = await check(draft.file)
    const lines = problemLines(named, found, out.errorColour)
    if (lines.length > 0) process.stderr.write(`${lines.join('\n')}\n`)
    if (found.faults.length > 0) {
      const answer = await askFurther(found.faults.length)
      if (answer === 'again') continue
      if (answer === 'discard') {
        draft.discard()
        throw interrupted()
      }
    }
    if (text === before) {
      draft.discard()
      end({ file: named, changed: false }, 'nothing was changed', out)
      return
    }
    if (textOf(file) !== before)
      throw fault({
        message: `${named} was changed by another program meanwhile, so it was left as it is`,
        next: 'compare both, and edit again',
      })
    replaceFile(file, text)
    draft.discard()
    end({ file: named, changed: true }, `saved ${visible(named)}`, out)
    return
  }
}

function end(answer: { file: string; changed: boolean }, words: string, out: Output): void {
  out.answer(answer, '')
  out.say(words)
}

function askFurther(faults: number): Promise<'again' | 'keep' | 'discard'> {
  return askChoice(`It has ${counted(faults, 'fault')}. What now?`, [
    { value: 'again', label: 'edit again' },
    { value: 'keep', label: 'keep it anyway', hint: 'calls fail until it is mended' },
    { value: 'discard', label: 'discard it', hint: 'the file stays as it was' },
  ])
}

/** The text of a file; `undefined` where there is none. */
function textOf(file: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(readFileSync(file))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw fault({
      message: `${file} cannot be read`,
      why: String((error as Error).message),
      file,
      next: `make ${file} readable for this user, or move it away`,
    })
  }
}

interface Draft {
  file: string
  /** Lets an editor work on it. */
  during<T>(edit: () => Promise<T>): Promise<T>
  discard(): void
}

/**
 * A copy in a folder that only this user may enter. However the process ends, what was written into it stays until it has taken the
 * file's place or is discarded, and its path is told.
 */
function createDraft(name: string, text: string): Draft {
  const folder = mkdtempSync(join(resolve(tmpdir()), 'provider-auth-edit-'))
  const file = join(folder, name)
  const discard = (): void => rmSync(folder, { recursive: true, force: true })
  let isOpen = false
  const atExit = (): void => {
    let now: string | undefined
    let others: string[] = []
    try {
      now = readFileSync(file, 'utf8')
    } catch {}
    try {
      others = readdirSync(folder).filter((one) => one !== name)
    } catch {}
    // What was not saved may be in a file that the editor keeps beside it, or is to write there when its terminal is gone.
    if (!isOpen && (now === undefined || now === text) && others.length === 0) discard()
    else process.stderr.write(`what you wrote is in ${file}\n`)
  }
  process.once('exit', atExit)
  try {
    writeFileSync(file, text, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    throw fault({
      message: `no copy can be written to ${folder}`,
      why: String((error as Error).message),
      next: 'set TMPDIR to a folder with room',
    })
  }
  return {
    file,
    async during(edit) {
      isOpen = true
      const done = await edit()
      isOpen = false
      return done
    },
    discard() {
      process.off('exit', atExit)
      discard()
    },
  }
}

/** What would be wrong with the file if it were in effect. */
async function check(draft: string): Promise<Pick<ConfigFile, 'faults' | 'warnings'>> {
  const named = process.env.PROVIDER_AUTH_CONFIG
  process.env.PROVIDER_AUTH_CONFIG = draft
  try {
    const { files } = await inspectConfig()
    return files.find(({ file }) => file === draft) ?? { faults: [], warnings: [] }
  } finally {
    if (named === undefined) delete process.env.PROVIDER_AUTH_CONFIG
    else process.env.PROVIDER_AUTH_CONFIG = named
  }
}

/** A file to begin with: nothing is set, and what could be is shown. */
function starter(): string {
  return `{
  // Editors complete and check what you write by this schema.
  "$schema": ${JSON.stringify(pathToFileURL(schemaFile('config')).href)},
  "providers": {
    // How accounts of a built-in provider take turns:
    // "anthropic": { "rotation": { "strategy": "balanced" } },

    // A provider of your own, with API keys:
    // "acme": { "origins": ["https://api.acme.example"] },

    // And with logins. Secrets stay outside of this file: {env:NAME} or {file:path}.
    // "acme": {
    //   "origins": ["https://api.acme.example"],
    //   "issuer": "https://id.acme.example",
    //   "clientId": "the client that you registered",
    //   "clientSecret": "{env:ACME_CLIENT_SECRET}"
    // }
  }
}
`
}
