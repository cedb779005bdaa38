// The public API keeps its names: `specs/vectors/contract-names.json` lists what `index.d.ts` must declare, member by
// member (`?` marks the optional).

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import test from 'node:test'
import ts from 'typescript'
import * as library from '../npm/dist/index.js'

const read = (path) => readFileSync(new URL(path, import.meta.url), 'utf8')
const contract = JSON.parse(read('../specs/vectors/contract-names.json'))
const declared = declarations(read('../index.d.ts'))

test('every function and constant of the contract is declared', () => {
  const expected = [
    ...contract.functions.map((name) => [name, 'function']),
    ...contract.constants.map((name) => [name, 'constant']),
  ]
  for (const [name, kind] of expected) assert.equal(declared.get(name)?.kind, kind, name)
})

for (const [name, members] of Object.entries(contract.interfaces)) {
  test(`interface ${name} has the members of the contract`, () => {
    assert.equal(declared.get(name)?.kind, 'interface')
    assert.deepEqual(lacking(members, declared.get(name).members), [])
  })
}

for (const [name, values] of Object.entries(contract.unions)) {
  test(`type ${name} has the values of the contract`, () => {
    assert.equal(declared.get(name)?.kind, 'union')
    assert.deepEqual(lacking(values, declared.get(name).members), [])
  })
}

test('the package exports at run time exactly what it declares', () => {
  const kindOf = (value) => (typeof value === 'function' ? 'function' : 'constant')
  const exported = Object.entries(library).map(([name, value]) => `${kindOf(value)} ${name}`)
  const promised = [...declared].map(([name, { kind }]) => `${kind} ${name}`)
  const isValue = (entry) => /^(function|constant) /.test(entry)
  assert.deepEqual(exported.sort(), promised.filter(isValue).sort())
})

test('the observed headers are lower-case names', () => {
  assert.ok(library.OBSERVED_HEADERS.length > 0)
  const normal = new Set(library.OBSERVED_HEADERS.map((name) => name.toLowerCase()))
  assert.deepEqual(library.OBSERVED_HEADERS, [...normal])
})

function lacking(wanted, present) {
  return wanted.filter((name) => !present.includes(name))
}

/** Reads the exported declarations of a `.d.ts`: name → kind and member names. */
function declarations(text) {
  const found = new Map()
  for (const statement of ts.createSourceFile('index.d.ts', text, ts.ScriptTarget.Latest, true).statements) {
    if (!ts.canHaveModifiers(statement)) continue
    if (!ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword)) continue
    for (const [name, kind, members] of described(statement)) found.set(name, { kind, members })
  }
  return found
}

function described(statement) {
  if (ts.isFunctionDeclaration(statement)) return [[statement.name.text, 'function', []]]
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.map(({ name }) => [name.text, 'constant', []])
  }
  if (ts.isInterfaceDeclaration(statement)) {
    const members = statement.members.map(({ name, questionToken }) => `${name.text}${questionToken ? '?' : ''}`)
    return [[statement.name.text, 'interface', members]]
  }
  if (ts.isTypeAliasDeclaration(statement) && ts.isUnionTypeNode(statement.type)) {
    const members = statement.type.types.filter(ts.isLiteralTypeNode).map(({ literal }) => literal.text)
    return [[statement.name.text, 'union', members]]
  }
  return [[statement.name.text, 'type', []]]
}
