/** What may come next on a command line, by the commands, options and arguments that are declared. */
import type { Argument, Command, Option } from 'commander'

export interface Candidate {
  value: string
  what: string
}

/** What the next word may be: of a fixed list, or of a kind by its name, such as `provider` or `file`. */
export interface Next {
  fixed: Candidate[]
  kind?: string
  /** The provider that was named before, for a list of its accounts. */
  provider?: string
}

/** What may come after `words`, when `current` is typed of it already. */
export function nextOf(program: Command, words: readonly string[], current: string): Next {
  let command = program
  const given: string[] = []
  let waiting: Option | undefined
  let onlyArguments = false
  for (const word of words) {
    const option = onlyArguments || !isOption(word) ? undefined : optionOf(command, word)
    if (word === '--' && !onlyArguments) onlyArguments = true
    else if (isOption(word) && !onlyArguments)
      waiting = option !== undefined && takesValue(option) && !word.includes('=') ? option : undefined
    else if (waiting !== undefined) waiting = waiting.variadic ? waiting : undefined
    else {
      const next = given.length === 0 && !onlyArguments ? subcommand(command, word) : undefined
      // `help` is followed by a command.
      if (command === program && word === 'help') continue
      if (next === undefined) given.push(word)
      else command = next
    }
  }
  if (waiting !== undefined && (!isOption(current) || waiting.required)) {
    const value = valuesOf(waiting.argChoices, nameOf(waiting))
    // An option that needs no value may be followed by anything.
    return waiting.required ? value : { ...value, fixed: [...value.fixed, ...argumentsOf(command, given).fixed] }
  }
  const [, long = '', typed] = /^(--[^=]+)=(.*)$/s.exec(current) ?? []
  if (typed !== undefined && !onlyArguments) {
    const option = optionOf(command, long)
    return option === undefined ? { fixed: [] } : valuesOf(option.argChoices, nameOf(option))
  }
  if (isOption(current) && !onlyArguments) return { fixed: optionsOf(command) }
  return argumentsOf(command, given)
}

function argumentsOf(command: Command, given: readonly string[]): Next {
  if (given.length === 0 && command.commands.length > 0)
    return {
      fixed: command
        .createHelp()
        .visibleCommands(command)
        .map((one) => ({ value: one.name(), what: one.description() })),
    }
  const declared: readonly Argument[] = command.registeredArguments
  const last = declared.at(-1)
  const argument = declared[given.length] ?? (last?.variadic ? last : undefined)
  if (argument === undefined) return { fixed: [] }
  const provider = declared[0]?.name() === 'provider' ? given[0] : undefined
  return { ...valuesOf(argument.argChoices, argument.name()), ...(provider !== undefined && { provider }) }
}

function valuesOf(choices: readonly string[] | undefined, kind: string): Next {
  return choices === undefined ? { fixed: [], kind } : { fixed: choices.map((value) => ({ value, what: '' })) }
}

function optionsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, short, description }) => {
      const value = long ?? short
      return value === undefined ? [] : [{ value, what: description }]
    })
}

function optionOf(command: Command, word: string): Option | undefined {
  const [name] = word.split('=')
  return command.options.find(({ long, short }) => long === name || short === name)
}

/** The name in `<…>` of an option's flags. */
function nameOf({ flags }: Option): string {
  return /[<[]([^>\].]+)/.exec(flags)?.[1] ?? ''
}

function takesValue({ required, optional }: Option): boolean {
  return required || optional
}

function isOption(word: string): boolean {
  return word.startsWith('-') && word !== '-'
}

function subcommand(command: Command, word: string): Command | undefined {
  return command.commands.find((one) => one.name() === word || one.aliases().includes(word))
}
