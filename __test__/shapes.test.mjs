/**
 * What the addon makes and takes is what is declared by hand. napi writes the type of each object that Rust makes to
 * `npm/addon.d.ts`; the compiler compares it with the one of the same name in `index.d.ts` or `npm/src/addon.ts`.
 */
import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'
import { addon } from '../npm/build/addon.js'

const [MADE, CONTRACT, NATIVE] = ['../npm/addon.d.ts', '../index.d.ts', '../npm/src/addon.ts'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
)
assert.ok(existsSync(MADE), 'npm/addon.d.ts is missing: npm run build:debug writes it')
const program = ts.createProgram([MADE, CONTRACT, NATIVE], {
  target: ts.ScriptTarget.ES2022,
  module: ts.ModuleKind.NodeNext,
  types: ['node'],
  strict: true,
  exactOptionalPropertyTypes: true,
  noEmit: true,
})
const checker = program.getTypeChecker()
const [made, contract, native] = [MADE, CONTRACT, NATIVE].map(exportsOf)

/** Objects of the contract that JavaScript makes, one of them from pages of JSON (`stats.test.mjs` holds its fields). */
const OF_JAVASCRIPT = ['LoginSession', 'Response', 'Stats']

/** Words of a literal type are `string` in Rust; which words those are, the tests of each call say. */
function kindOf(type) {
  if (type.isUnion()) return [...new Set(type.types.map(kindOf))].sort().join(' | ')
  return checker.typeToString(checker.getBaseTypeOfLiteralType(type))
}

/** Lists where an object of the addon differs from its declaration: a name, whether it may be absent, its kind. */
function differences(ours, declared, path) {
  if (ours.flags & ts.TypeFlags.Any) return []
  const [element, expected] = [ours, declared].map((type) => elementOf(type))
  if (element !== undefined && expected !== undefined) return differences(element, expected, `${path}[]`)
  const [record, values] = [ours, declared].map((type) => checker.getIndexTypeOfType(type, ts.IndexKind.String))
  if (record !== undefined && values !== undefined) return differences(record, values, `${path}{}`)
  if (!isObject(ours) || !isObject(declared)) {
    const [is, shouldBe] = [kindOf(ours), kindOf(declared)]
    return is === shouldBe ? [] : [`${path}: ${is}, declared ${shouldBe}`]
  }
  const [has, wants] = [ours, declared].map(membersOf)
  const names = [...new Set([...has.keys(), ...wants.keys()])]
  return names.flatMap((name) => {
    const [is, shouldBe] = [has.get(name), wants.get(name)]
    if (is === undefined) return [`${path}.${name}: declared, and not made`]
    if (shouldBe === undefined) return [`${path}.${name}: made, and not declared`]
    if (is.optional !== shouldBe.optional) return [`${path}.${name}: absent at times in one of the two alone`]
    return differences(is.type, shouldBe.type, `${path}.${name}`)
  })
}

function membersOf(type) {
  return new Map(
    checker.getPropertiesOfType(type).map((symbol) => {
      const optional = (symbol.flags & ts.SymbolFlags.Optional) !== 0
      return [symbol.name, { optional, type: checker.getNonNullableType(checker.getTypeOfSymbol(symbol)) }]
    }),
  )
}

/** The type of an array's elements; of a tuple, all of them. */
function elementOf(type) {
  return checker.isArrayLikeType(type) ? checker.getIndexTypeOfType(type, ts.IndexKind.Number) : undefined
}

function isObject(type) {
  return (type.flags & ts.TypeFlags.Object) !== 0
}

function exportsOf(file) {
  const symbols = checker.getExportsOfModule(checker.getSymbolAtLocation(program.getSourceFile(file)))
  return new Map(symbols.map((symbol) => [symbol.name, symbol]))
}

function interfacesIn(exported) {
  return [...exported].filter(([, symbol]) => symbol.flags & ts.SymbolFlags.Interface)
}

const declaredOf = (name) => contract.get(name) ?? native.get(name)
const compared = interfacesIn(made).filter(([name]) => declaredOf(name) !== undefined)

for (const [name, symbol] of compared) {
  test(`the addon makes ${name} as it is declared`, () => {
    const declared = checker.getDeclaredTypeOfSymbol(declaredOf(name))
    assert.deepEqual(differences(checker.getDeclaredTypeOfSymbol(symbol), declared, name), [])
  })
}

test('every object that a call of the contract resolves to or tells a listener is made by the addon', () => {
  const names = new Set(['AuthEvent'])
  for (const [, symbol] of contract) {
    if (!(symbol.flags & ts.SymbolFlags.Function)) continue
    for (const signature of checker.getTypeOfSymbol(symbol).getCallSignatures()) {
      const result = checker.getAwaitedType(signature.getReturnType())
      const name = (elementOf(result) ?? result).symbol?.name
      if (contract.has(name) && contract.get(name).flags & ts.SymbolFlags.Interface) names.add(name)
    }
  }
  const lacking = [...names].filter((name) => !OF_JAVASCRIPT.includes(name) && !made.has(name))
  assert.deepEqual(lacking, [])
  assert.ok(names.size >= 14, `only ${names.size} were found`)
})

test('the compiler finds what differs', () => {
  const [account, slot] = ['Account', 'KeySlot'].map((name) => checker.getDeclaredTypeOfSymbol(contract.get(name)))
  assert.ok(differences(checker.getDeclaredTypeOfSymbol(made.get('Account')), slot, 'KeySlot').length > 0)
  assert.ok(differences(checker.getDeclaredTypeOfSymbol(made.get('KeySlot')), account, 'Account').length > 0)
})

for (const [name, symbol] of contract) {
  const options = symbol.flags & ts.SymbolFlags.Function ? optionsOf(symbol) : undefined
  if (options === undefined) continue
  test(`the addon knows the options of ${name} that are declared, and no others`, () => {
    assert.deepEqual(addon.optionNames(name).toSorted(), options.toSorted())
  })
}

test('the addon knows the options in options', () => {
  const nested = (name, member) => {
    const { type } = membersOf(checker.getDeclaredTypeOfSymbol(contract.get(name))).get(member)
    return [...membersOf(type).keys()].toSorted()
  }
  assert.deepEqual(addon.optionNames('log').toSorted(), nested('ConfigureOptions', 'log'))
  const rotation = membersOf(checker.getDeclaredTypeOfSymbol(contract.get('RotationConfig')))
  assert.deepEqual(addon.optionNames('rotation').toSorted(), [...rotation.keys()].toSorted())
  assert.deepEqual(addon.optionNames('providerAuth').toSorted(), nested('AuthFetchInit', 'providerAuth'))
})

/** The members of the object that a call takes, whatever it is called; nothing of a call without one. */
function optionsOf(symbol) {
  const [signature] = checker.getTypeOfSymbol(symbol).getCallSignatures()
  const [last] = signature.parameters.slice(-1)
  if (last === undefined || last.name === 'shown') return undefined
  const type = checker.getNonNullableType(checker.getTypeOfSymbol(last))
  if (!isObject(type) || type.getCallSignatures().length > 0) return undefined
  return [...membersOf(type).keys()]
}
